package io.rund.kvm.virtio.net;

import io.rund.core.hypervisor.NicConfig;
import io.rund.kvm.virtio.DescriptorChain;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The door for struct virtio_net_hdr of a packet that the guest sends (virtio 1.2, 5.1.6.2): a copy
 * that is checked here and that the host's kernel gets in the place of the guest's, which may
 * change at any time.
 *
 * <p>What needs a look into the packet is left to the kernel: that a segmented packet is what its
 * type says, and that all its headers are there (include/linux/virtio_net.h,
 * virtio_net_hdr_to_skb). It answers EINVAL, and the packet is dropped. Reused; on the loop.
 */
final class SendHeader {
  private static final int NEEDS_CSUM = 1;
  private static final int GSO_NONE = 0;
  private static final int GSO_TCPV4 = 1;
  private static final int GSO_TCPV6 = 4;

  private static final int ETHERNET_HEADER = 14;

  /** The largest frame: an IP packet of 64 KiB, Ethernet header, VLAN tag. */
  static final int MAX_FRAME = 65535 + ETHERNET_HEADER + 4;

  // struct virtio_net_hdr
  private static final int FLAGS = 0;
  private static final int GSO_TYPE = 1;
  private static final int HDR_LEN = 2;
  private static final int GSO_SIZE = 4;
  private static final int CSUM_START = 6;
  private static final int CSUM_OFFSET = 8;

  private final MemorySegment header = Arena.ofAuto().allocate(NicConfig.HEADER_SIZE, Long.BYTES);

  /** Where the checked copy is. */
  long address() {
    return header.address();
  }

  /**
   * Copies and checks the header of a packet.
   *
   * @param chain has at least {@link NicConfig#HEADER_SIZE} readable bytes
   * @param features what was negotiated
   * @return whether the packet may be sent
   */
  boolean load(DescriptorChain chain, long features) {
    chain.read(0, header, 0, NicConfig.HEADER_SIZE);
    long frame = chain.readableBytes() - NicConfig.HEADER_SIZE;
    return frame >= ETHERNET_HEADER
        && frame <= MAX_FRAME
        && checksum(frame, features)
        && segmentation(frame, features);
  }

  private boolean checksum(long frame, long features) {
    int flags = header.get(ValueLayout.JAVA_BYTE, FLAGS);
    if (flags == 0) {
      return true;
    }
    int start = field(CSUM_START);
    return flags == NEEDS_CSUM
        && Feature.has(features, Feature.CSUM)
        && start >= ETHERNET_HEADER
        && start + field(CSUM_OFFSET) + Short.BYTES <= frame;
  }

  private boolean segmentation(long frame, long features) {
    long needed;
    switch (header.get(ValueLayout.JAVA_BYTE, GSO_TYPE)) {
      case GSO_NONE -> {
        header.set(ValueLayout.JAVA_SHORT, HDR_LEN, (short) 0);
        header.set(ValueLayout.JAVA_SHORT, GSO_SIZE, (short) 0);
        return true;
      }
      case GSO_TCPV4 -> needed = Feature.HOST_TSO4;
      case GSO_TCPV6 -> needed = Feature.HOST_TSO6;
      default -> {
        return false;
      }
    }
    return Feature.has(features, needed)
        && header.get(ValueLayout.JAVA_BYTE, FLAGS) == NEEDS_CSUM
        && field(GSO_SIZE) > 0
        && field(HDR_LEN) <= frame;
  }

  private int field(int offset) {
    return Short.toUnsignedInt(header.get(ValueLayout.JAVA_SHORT, offset));
  }
}
