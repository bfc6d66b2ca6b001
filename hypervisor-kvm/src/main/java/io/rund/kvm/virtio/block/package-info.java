/** The virtio disk, what is behind it, and the threads that wait for it. */
package io.rund.kvm.virtio.block;
