/**
 * vCPU threads: running guest code, answering its exits, stopping and continuing. For use by the VM
 * that owns them.
 */
package io.rund.kvm.vcpu;
