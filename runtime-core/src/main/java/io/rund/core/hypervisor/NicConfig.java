package io.rund.core.hypervisor;

import io.rund.core.linux.Fd;

/**
 * A network card for the guest.
 *
 * @param name of the interface, for messages
 * @param tap a tap of the host: non-blocking, IFF_VNET_HDR with a header of {@value #HEADER_SIZE}
 *     bytes, and the offloads {@link #OFFLOADS} switched on
 * @param mac the address that the guest finds in the card
 * @param mtu in bytes
 */
public record NicConfig(String name, Fd tap, MacAddress mac, int mtu) {
  /** Bytes of struct virtio_net_hdr with num_buffers (virtio 1.2, 5.1.6). */
  public static final int HEADER_SIZE = 12;

  /** TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 (include/uapi/linux/if_tun.h). */
  public static final int OFFLOADS = 7;
}
