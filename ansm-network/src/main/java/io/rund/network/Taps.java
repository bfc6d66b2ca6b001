package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * Makes taps, in the namespace of the calling thread. A tap is gone with its descriptor, also when
 * the engine is killed (include/uapi/linux/if_tun.h, if.h, sockios.h).
 */
final class Taps {
  private static final long TUNSETIFF = 0x400454caL;
  private static final long TUNSETOFFLOAD = 0x400454d0L;
  private static final long TUNSETVNETHDRSZ = 0x400454d8L;
  private static final long SIOCGIFINDEX = 0x8933;
  private static final long SIOCSIFMTU = 0x8922;
  private static final long SIOCSIFFLAGS = 0x8914;
  private static final int AF_INET = 2;
  private static final int SOCK_DGRAM = 2;
  private static final short IFF_UP = 1;

  /** IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
  private static final short FLAGS = 0x5002;

  /** The kernel puts the first free number in the place of %d. */
  private static final String NAME = "rund%d";

  /** struct ifreq: a name of 16 bytes, then a union. */
  private static final int IFREQ = 40;

  private static final int UNION = 16;

  private Taps() {}

  /** Whether an interface has the name of a tap that is made here. */
  static boolean isOurs(String name) {
    return name.matches("rund[0-9]+");
  }

  /**
   * A tap and the kernel's number for it.
   *
   * @param fd as {@link NicConfig#tap} has to be
   */
  record Tap(Fd fd, int index) {}

  /**
   * Makes a tap that is up.
   *
   * @param mtu in bytes
   */
  static Tap make(int mtu) throws LastErrorException {
    Fd fd = Fd.open("/dev/net/tun", Linux.O_RDWR | Linux.O_NONBLOCK);
    try (Arena arena = Arena.ofConfined();
        Fd socket = new Fd(Libc.socket(AF_INET, SOCK_DGRAM | Linux.O_CLOEXEC, 0))) {
      MemorySegment request = arena.allocate(IFREQ, Long.BYTES);
      request.setString(0, NAME, StandardCharsets.US_ASCII);
      request.set(ValueLayout.JAVA_SHORT, UNION, FLAGS);
      Libc.ioctl(fd.number(), TUNSETIFF, request.address());
      MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, NicConfig.HEADER_SIZE);
      Libc.ioctl(fd.number(), TUNSETVNETHDRSZ, size.address());
      Libc.ioctl(fd.number(), TUNSETOFFLOAD, NicConfig.OFFLOADS);
      // The name is now the one that the kernel chose.
      request.set(ValueLayout.JAVA_INT, UNION, mtu);
      Libc.ioctl(socket.number(), SIOCSIFMTU, request.address());
      request.set(ValueLayout.JAVA_SHORT, UNION, IFF_UP);
      Libc.ioctl(socket.number(), SIOCSIFFLAGS, request.address());
      Libc.ioctl(socket.number(), SIOCGIFINDEX, request.address());
      return new Tap(fd, request.get(ValueLayout.JAVA_INT, UNION));
    } catch (LastErrorException e) {
      fd.close();
      throw e;
    }
  }
}
