package io.rund.kvm.virtio.net;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import io.rund.core.hypervisor.MacAddress;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A tap in a network namespace of its own, and a packet socket as the host's end of it: frames with
 * a virtio_net_hdr of 10 bytes (PACKET_VNET_HDR). Takes root.
 */
final class TapNetwork implements AutoCloseable {
  static final MacAddress MAC = new MacAddress(0x0a58_0af4_0002L);
  static final String NAME = "tap0";

  private static final int AF_PACKET = 17;
  private static final int SOCK_RAW = 3;
  private static final int ETH_P_ALL_BIG_ENDIAN = 0x0300;
  private static final int SOL_PACKET = 263;
  private static final int PACKET_IGNORE_OUTGOING = 23;
  private static final int PACKET_VNET_HDR = 15;
  private static final long TUNSETIFF = 0x400454caL;
  private static final long TUNSETOFFLOAD = 0x400454d0L;
  private static final long TUNSETVNETHDRSZ = 0x400454d8L;
  private static final long SIOCGIFINDEX = 0x8933;
  private static final long SIOCSIFFLAGS = 0x8914;

  /** IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
  private static final short TAP_FLAGS = 0x5002;

  private static final int BUFFER = 70_000;

  static {
    Native.register(TapNetwork.class, NativeLibrary.getInstance("c"));
  }

  private static native int bind(int fd, long address, int length) throws LastErrorException;

  private static native int setsockopt(int fd, int level, int option, long value, int length)
      throws LastErrorException;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment buffer = arena.allocate(BUFFER, 8);
  private final MemorySegment request = arena.allocate(40, 8);
  private final ExecutorService inside =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());
  private final Fd namespace;
  private final Fd tap;
  private final Fd socket;

  TapNetwork() throws Exception {
    assumeTrue(Files.isWritable(Path.of("/dev/net/tun")), "/dev/net/tun cannot be opened here");
    assumeTrue(
        "root".equals(System.getProperty("user.name")), "making a network namespace takes root");
    namespace = run(this::unshare);
    tap = run(this::openTap);
    socket = run(this::openSocket);
  }

  private <T> T run(Callable<T> task) throws Exception {
    return inside.submit(task).get();
  }

  private Fd unshare() throws Exception {
    Libc.unshare(Linux.CLONE_NEWNET);
    // Else the kernel itself sends packets.
    Files.writeString(Path.of("/proc/sys/net/ipv6/conf/default/disable_ipv6"), "1");
    return Fd.open("/proc/thread-self/ns/net", Linux.O_RDONLY);
  }

  private MemorySegment named() {
    request.fill((byte) 0);
    request.setString(0, NAME, StandardCharsets.US_ASCII);
    return request;
  }

  private Fd openTap() {
    Fd fd = Fd.open("/dev/net/tun", Linux.O_RDWR | Linux.O_NONBLOCK);
    named().set(ValueLayout.JAVA_SHORT, 16, TAP_FLAGS);
    Libc.ioctl(fd.number(), TUNSETIFF, request.address());
    request.set(ValueLayout.JAVA_INT, 0, NicConfig.HEADER_SIZE);
    Libc.ioctl(fd.number(), TUNSETVNETHDRSZ, request.address());
    Libc.ioctl(fd.number(), TUNSETOFFLOAD, NicConfig.OFFLOADS);
    return fd;
  }

  private Fd openSocket() {
    Fd fd = new Fd(Libc.socket(AF_PACKET, SOCK_RAW | Linux.O_CLOEXEC, ETH_P_ALL_BIG_ENDIAN));
    Libc.ioctl(fd.number(), SIOCGIFINDEX, named().address());
    int index = request.get(ValueLayout.JAVA_INT, 16);
    setUp(fd, true);
    // struct sockaddr_ll
    request.fill((byte) 0);
    request.set(ValueLayout.JAVA_SHORT, 0, (short) AF_PACKET);
    request.set(ValueLayout.JAVA_SHORT, 2, (short) ETH_P_ALL_BIG_ENDIAN);
    request.set(ValueLayout.JAVA_INT, 4, index);
    bind(fd.number(), request.address(), 20);
    request.set(ValueLayout.JAVA_INT, 0, 1);
    setsockopt(fd.number(), SOL_PACKET, PACKET_VNET_HDR, request.address(), 4);
    setsockopt(fd.number(), SOL_PACKET, PACKET_IGNORE_OUTGOING, request.address(), 4);
    return fd;
  }

  private void setUp(Fd fd, boolean up) {
    named().set(ValueLayout.JAVA_SHORT, 16, (short) (up ? 1 : 0));
    Libc.ioctl(fd.number(), SIOCSIFFLAGS, request.address());
  }

  void up(boolean up) {
    setUp(socket, up);
    if (!up) {
      // The socket reports it once.
      assertEquals(-1, Libc.Try.read(socket.number(), buffer.address(), BUFFER));
    }
  }

  /** Deletes the tap from outside. */
  void delete() throws Exception {
    String path = "/proc/" + ProcessHandle.current().pid() + "/fd/" + namespace.number();
    Process process =
        new ProcessBuilder("nsenter", "--net=" + path, "ip", "link", "del", NAME)
            .inheritIO()
            .start();
    assertEquals(0, process.waitFor());
  }

  /** The tap's descriptor, for the device, which closes it. */
  NicConfig nic() {
    return new NicConfig(NAME, tap, MAC, 1500);
  }

  /** Sends a frame to the card; {@code header} is the first 10 bytes of a virtio_net_hdr. */
  void send(byte[] header, byte[] frame) {
    MemorySegment.copy(header, 0, buffer, ValueLayout.JAVA_BYTE, 0, header.length);
    MemorySegment.copy(frame, 0, buffer, ValueLayout.JAVA_BYTE, header.length, frame.length);
    Libc.send(socket.number(), buffer.address(), header.length + (long) frame.length, 0);
  }

  void send(byte[] frame) {
    send(new byte[10], frame);
  }

  /** The next frame from the card with its header of 10 bytes; waits for it. */
  byte[] receive() {
    long length = Libc.recv(socket.number(), buffer.address(), BUFFER, 0);
    return buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
  }

  @Override
  public void close() {
    inside.shutdown();
    socket.close();
    tap.close();
    namespace.close();
    arena.close();
  }
}
