package io.rund.kvm.virtio.net;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;

/**
 * The host's end of a card's cable: frames, each behind a struct virtio_net_hdr
 * (drivers/net/tun.c). Never blocks.
 */
final class Tap implements AutoCloseable {
  private static final long TUNSETOFFLOAD = 0x400454d0L;
  private static final int TUN_F_CSUM = 1;
  private static final int TUN_F_TSO4 = 2;
  private static final int TUN_F_TSO6 = 4;

  private final Fd fd;
  private int offloads = NicConfig.OFFLOADS;

  Tap(Fd fd) {
    this.fd = fd;
  }

  int number() {
    return fd.number();
  }

  /**
   * Lets the host's kernel hand over what the guest can take. The call waits for the kernel's lock
   * of all networks, so it is made only for guests that take less than others.
   *
   * @throws LastErrorException if the tap is gone
   */
  void offload(long features) throws LastErrorException {
    int wanted = 0;
    if (Feature.has(features, Feature.GUEST_CSUM)) {
      wanted |= TUN_F_CSUM;
      wanted |= Feature.has(features, Feature.GUEST_TSO4) ? TUN_F_TSO4 : 0;
      wanted |= Feature.has(features, Feature.GUEST_TSO6) ? TUN_F_TSO6 : 0;
    }
    if (wanted != offloads) {
      Libc.ioctl(fd.number(), TUNSETOFFLOAD, wanted);
      offloads = wanted;
    }
  }

  /** Whether the kernel may hand over packets larger than the MTU. */
  boolean segments() {
    return (offloads & (TUN_F_TSO4 | TUN_F_TSO6)) != 0;
  }

  /** Reads a frame: its bytes with the header, or a negative errno. */
  long read(long vector, int entries) {
    return result(Libc.Try.readv(fd.number(), vector, entries));
  }

  /** Sends a frame, header first: 0 or more, or a negative errno. */
  long write(IoVector frame) {
    return result(Libc.Try.writev(fd.number(), frame.address(), frame.count()));
  }

  private static long result(long returned) {
    return returned >= 0 ? returned : -Native.getLastError();
  }

  /** Whether this errno says that the interface has been deleted. */
  static boolean isGone(long result) {
    return result == -Linux.EBADFD;
  }

  @Override
  public void close() {
    fd.close();
  }
}
