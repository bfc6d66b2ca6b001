/** The network card (virtio 1.2, 5.1) on a tap of the host. */
package io.rund.kvm.virtio.net;
