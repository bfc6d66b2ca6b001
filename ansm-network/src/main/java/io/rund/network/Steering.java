package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A listening socket to which every TCP connection goes that is made inside a network namespace,
 * whatever its address and port, by a BPF program of type sk_lookup (Linux 5.9,
 * Documentation/bpf/prog_sk_lookup.rst). The program is twenty instructions, so it is written down
 * here and loaded with bpf(2): no compiler, no library.
 *
 * <p>Both parts go with their descriptors, and with the namespace.
 *
 * @param listener non-blocking; an accepted connection keeps the address that the client asked for
 * @param link what keeps the program attached
 */
record Steering(Fd listener, Fd link) implements AutoCloseable {
  private static final int AF_INET = 2;
  private static final int AF_INET6 = 10;
  private static final int SOCK_STREAM = 1;
  private static final int EAFNOSUPPORT = 97;
  private static final int BACKLOG = 64;
  private static final int SOL_SOCKET = 1;
  private static final int SO_KEEPALIVE = 9;
  private static final int TCP_KEEPIDLE = 4;
  private static final int TCP_KEEPINTVL = 5;
  private static final int KEEPALIVE_SECONDS = 60;

  // include/uapi/linux/bpf.h
  private static final long SYS_BPF = 321;
  private static final int BPF_MAP_CREATE = 0;
  private static final int BPF_MAP_UPDATE_ELEM = 2;
  private static final int BPF_PROG_LOAD = 5;
  private static final int BPF_LINK_CREATE = 28;
  private static final int BPF_MAP_TYPE_SOCKMAP = 15;
  private static final int BPF_PROG_TYPE_SK_LOOKUP = 30;
  private static final int BPF_SK_LOOKUP = 36;
  private static final int MAP_LOOKUP_ELEM = 1;
  private static final int SK_RELEASE = 86;
  private static final int SK_ASSIGN = 124;

  /** Offset of the protocol in struct bpf_sk_lookup. */
  private static final int PROTOCOL = 12;

  private static final int IPPROTO_TCP = 6;

  /** Bytes of union bpf_attr that are given; those not set are zero. */
  private static final int ATTRIBUTES = 120;

  /**
   * Begins to steer, in the namespace of the calling thread.
   *
   * @param namespace a descriptor of that namespace
   * @throws LastErrorException if the kernel cannot do that
   */
  static Steering begin(Fd namespace) throws LastErrorException {
    Fd listener = listen();
    try (Arena arena = Arena.ofConfined();
        Fd map = map(arena, listener);
        Fd program = program(arena, map)) {
      MemorySegment link = arena.allocate(ATTRIBUTES, Long.BYTES);
      link.setAtIndex(ValueLayout.JAVA_INT, 0, program.number());
      link.setAtIndex(ValueLayout.JAVA_INT, 1, namespace.number());
      link.setAtIndex(ValueLayout.JAVA_INT, 2, BPF_SK_LOOKUP);
      return new Steering(listener, bpf(BPF_LINK_CREATE, link));
    } catch (LastErrorException e) {
      listener.close();
      throw e;
    }
  }

  private static Fd listen() {
    try {
      return listen(AF_INET6, 28);
    } catch (LastErrorException e) {
      if (e.getErrorCode() != EAFNOSUPPORT) {
        throw e;
      }
      return listen(AF_INET, 16);
    }
  }

  /** On any free port of any address; an IPv6 socket takes IPv4 too. */
  private static Fd listen(int family, int addressSize) {
    int type = SOCK_STREAM | Linux.O_CLOEXEC | Linux.O_NONBLOCK;
    Fd fd = new Fd(Libc.socket(family, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(addressSize, Integer.BYTES);
      address.set(ValueLayout.JAVA_SHORT, 0, (short) family);
      // What is accepted has it from here. A client that has closed is gone for the kernel after a
      // minute, too, and then a connection whose program in the guest says nothing ends.
      set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_SECONDS);
      set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_SECONDS);
      Libc.bind(fd.number(), address.address(), addressSize);
      Libc.listen(fd.number(), BACKLOG);
      return fd;
    } catch (LastErrorException e) {
      fd.close();
      throw e;
    }
  }

  private static void set(Fd socket, int level, int name, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment option = arena.allocateFrom(ValueLayout.JAVA_INT, value);
      Libc.setsockopt(socket.number(), level, name, option.address(), Integer.BYTES);
    }
  }

  /** A map with the one socket, which the program gives connections to. */
  private static Fd map(Arena arena, Fd listener) {
    MemorySegment create = arena.allocate(ATTRIBUTES, Long.BYTES);
    create.setAtIndex(ValueLayout.JAVA_INT, 0, BPF_MAP_TYPE_SOCKMAP);
    create.setAtIndex(ValueLayout.JAVA_INT, 1, Integer.BYTES);
    create.setAtIndex(ValueLayout.JAVA_INT, 2, Long.BYTES);
    create.setAtIndex(ValueLayout.JAVA_INT, 3, 1);
    Fd map = bpf(BPF_MAP_CREATE, create);
    try {
      MemorySegment update = arena.allocate(ATTRIBUTES, Long.BYTES);
      update.setAtIndex(ValueLayout.JAVA_INT, 0, map.number());
      update.setAtIndex(ValueLayout.JAVA_LONG, 1, arena.allocate(Integer.BYTES).address());
      update.setAtIndex(
          ValueLayout.JAVA_LONG,
          2,
          arena.allocateFrom(ValueLayout.JAVA_LONG, listener.number()).address());
      Libc.syscall(SYS_BPF, BPF_MAP_UPDATE_ELEM, update.address(), ATTRIBUTES, 0, 0);
      return map;
    } catch (LastErrorException e) {
      map.close();
      throw e;
    }
  }

  private static Fd program(Arena arena, Fd map) {
    byte[] code = code(map.number());
    MemorySegment load = arena.allocate(ATTRIBUTES, Long.BYTES);
    load.set(ValueLayout.JAVA_INT, 0, BPF_PROG_TYPE_SK_LOOKUP);
    load.set(ValueLayout.JAVA_INT, 4, code.length / Long.BYTES);
    load.set(ValueLayout.JAVA_LONG, 8, arena.allocateFrom(ValueLayout.JAVA_BYTE, code).address());
    load.set(ValueLayout.JAVA_LONG, 16, arena.allocateFrom("Apache-2.0").address());
    load.setString(48, "rund_steer");
    load.set(ValueLayout.JAVA_INT, 68, BPF_SK_LOOKUP);
    return bpf(BPF_PROG_LOAD, load);
  }

  /** struct bpf_insn: code, registers (source on top), offset, immediate. */
  private static byte[] code(int map) {
    ByteBuffer code = ByteBuffer.allocate(20 * Long.BYTES).order(ByteOrder.nativeOrder());
    instruction(code, 0xbf, 0x16, 0, 0); //                  r6 = r1: the context
    instruction(code, 0x61, 0x62, PROTOCOL, 0); //           r2 = r6->protocol
    instruction(code, 0x55, 0x02, 15, IPPROTO_TCP); //       if r2 != TCP goto pass
    instruction(code, 0x62, 0x0a, -4, 0); //                 *(u32 *)(r10 - 4) = 0: the key
    instruction(code, 0xbf, 0xa2, 0, 0); //                  r2 = r10
    instruction(code, 0x07, 0x02, 0, -4); //                 r2 += -4
    instruction(code, 0x18, 0x11, 0, map); //                r1 = the map, in two
    instruction(code, 0x00, 0x00, 0, 0);
    instruction(code, 0x85, 0x00, 0, MAP_LOOKUP_ELEM); //    r0 = map_lookup_elem(r1, r2)
    instruction(code, 0x15, 0x00, 8, 0); //                  if r0 == 0 goto pass
    instruction(code, 0xbf, 0x07, 0, 0); //                  r7 = r0: the socket
    instruction(code, 0xbf, 0x61, 0, 0); //                  r1 = r6
    instruction(code, 0xbf, 0x72, 0, 0); //                  r2 = r7
    instruction(code, 0xb7, 0x03, 0, 0); //                  r3 = 0
    instruction(code, 0x85, 0x00, 0, SK_ASSIGN); //          sk_assign(r1, r2, r3)
    instruction(code, 0xbf, 0x71, 0, 0); //                  r1 = r7
    instruction(code, 0x85, 0x00, 0, SK_RELEASE); //         sk_release(r1)
    instruction(code, 0x05, 0x00, 0, 0); //                  goto pass
    instruction(code, 0xb7, 0x00, 0, 1); //            pass: r0 = SK_PASS
    instruction(code, 0x95, 0x00, 0, 0); //                  return r0
    return code.array();
  }

  private static void instruction(ByteBuffer to, int code, int registers, int offset, int value) {
    to.put((byte) code).put((byte) registers).putShort((short) offset).putInt(value);
  }

  private static Fd bpf(int command, MemorySegment attributes) {
    return new Fd((int) Libc.syscall(SYS_BPF, command, attributes.address(), ATTRIBUTES, 0, 0));
  }

  @Override
  public void close() {
    link.close();
    listener.close();
  }
}
