/** What a VMM gives: the SPI that hypervisor-kvm implements and the sandbox manager calls. */
package io.rund.core.hypervisor;
