/**
 * Virtio 1.2 over MMIO: the transport with its slots, the split virtqueue, and what a device is.
 * Registers are served on vCPU threads; queues and devices belong to the VM's event loop. Every
 * byte the guest wrote passes {@link io.rund.kvm.virtio.Virtqueue} and {@link
 * io.rund.kvm.virtio.DescriptorChain} first.
 */
package io.rund.kvm.virtio;
