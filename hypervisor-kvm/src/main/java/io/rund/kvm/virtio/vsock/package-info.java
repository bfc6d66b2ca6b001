/**
 * The virtio socket device (virtio 1.2, 5.10) whose host end is in this process: a connection that
 * the guest makes is a {@link io.rund.core.hypervisor.VsockStream}. Everything but listening
 * belongs to the VM's event loop.
 */
package io.rund.kvm.virtio.vsock;
