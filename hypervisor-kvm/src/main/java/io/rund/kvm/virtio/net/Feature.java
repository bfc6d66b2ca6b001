package io.rund.kvm.virtio.net;

/** Feature bits of a network card (virtio 1.2, 5.1.3). */
final class Feature {
  private Feature() {}

  /** The device completes checksums of what the guest sends. */
  static final long CSUM = 1L << 0;

  /** The guest takes packets whose checksum is not complete. */
  static final long GUEST_CSUM = 1L << 1;

  static final long MTU = 1L << 3;
  static final long MAC = 1L << 5;

  /** The guest takes TCP segments of up to 64 KiB. */
  static final long GUEST_TSO4 = 1L << 7;

  static final long GUEST_TSO6 = 1L << 8;

  /** The device takes TCP segments of up to 64 KiB. */
  static final long HOST_TSO4 = 1L << 11;

  static final long HOST_TSO6 = 1L << 12;

  /** A received packet may spread over several buffers. */
  static final long MRG_RXBUF = 1L << 15;

  static final long STATUS = 1L << 16;

  static final long OFFERED =
      CSUM
          | GUEST_CSUM
          | MTU
          | MAC
          | GUEST_TSO4
          | GUEST_TSO6
          | HOST_TSO4
          | HOST_TSO6
          | MRG_RXBUF
          | STATUS;

  static boolean has(long features, long bit) {
    return (features & bit) != 0;
  }
}
