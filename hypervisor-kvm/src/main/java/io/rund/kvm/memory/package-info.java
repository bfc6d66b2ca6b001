/**
 * Guest RAM, and the only door to it. Everyone in the VMM may use it; it knows nothing of devices.
 */
package io.rund.kvm.memory;
