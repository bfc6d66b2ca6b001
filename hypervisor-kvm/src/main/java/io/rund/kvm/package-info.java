/** The VMM: implements {@link io.rund.core.hypervisor.Hypervisor} and wires the parts together. */
package io.rund.kvm;
