package io.rund.bench;

import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** A tap of the host with an address, which VMs use one after the other; gone when it is closed. */
final class BenchTap implements AutoCloseable {
  static final String NAME = "rund-bench";

  /** Of the host; net-bench in the guest takes the next one. */
  static final String ADDRESS = "10.99.0.1";

  // include/uapi/linux/if_tun.h
  private static final long TUNSETIFF = 0x400454caL;
  private static final long TUNSETOFFLOAD = 0x400454d0L;
  private static final long TUNSETVNETHDRSZ = 0x400454d8L;

  /** IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
  private static final short FLAGS = 0x5002;

  /** struct ifreq: a name of 16 bytes, then a union. */
  private static final int IFREQ = 40;

  private static final int UNION = 16;

  BenchTap() throws IOException, InterruptedException {
    var _ = Programs.output("ip", "tuntap", "add", "dev", NAME, "mode", "tap", "vnet_hdr");
    var _ = Programs.output("ip", "address", "add", ADDRESS + "/24", "dev", NAME);
    var _ = Programs.output("ip", "link", "set", NAME, "up");
  }

  /** A descriptor of it as {@link NicConfig#tap} has to be. */
  Fd open() {
    Fd fd = Fd.open("/dev/net/tun", Linux.O_RDWR | Linux.O_NONBLOCK);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment request = arena.allocate(IFREQ, Long.BYTES);
      request.setString(0, NAME, StandardCharsets.US_ASCII);
      request.set(ValueLayout.JAVA_SHORT, UNION, FLAGS);
      Libc.ioctl(fd.number(), TUNSETIFF, request.address());
      MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, NicConfig.HEADER_SIZE);
      Libc.ioctl(fd.number(), TUNSETVNETHDRSZ, size.address());
      Libc.ioctl(fd.number(), TUNSETOFFLOAD, NicConfig.OFFLOADS);
      return fd;
    } catch (RuntimeException e) {
      fd.close();
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    try {
      var _ = Programs.output("ip", "tuntap", "del", "dev", NAME, "mode", "tap");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
