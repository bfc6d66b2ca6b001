/**
 * What connects vCPUs and devices: register access, queue kicks, interrupts. Devices see only these
 * types, so they can be tested without KVM.
 */
package io.rund.kvm.bus;
