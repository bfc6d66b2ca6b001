package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/**
 * A conversation with the kernel about one network namespace: the one in which the opening thread
 * was (rtnetlink(7)). For one thread at a time, which blocks until the kernel has answered.
 */
final class Netlink implements AutoCloseable {
  /** Flags of a request (include/uapi/linux/netlink.h). */
  static final int REQUEST = 1;

  static final int ACK = 4;
  static final int EXCL = 0x200;
  static final int CREATE = 0x400;
  static final int DUMP = 0x300;

  private static final int AF_NETLINK = 16;
  private static final int SOCK_RAW = 3;
  private static final int NLMSG_ERROR = 2;
  private static final int NLMSG_DONE = 3;

  /**
   * No answer is longer: the kernel makes dumps of at most 32 KiB (NLMSG_GOODSIZE, netlink_dump).
   */
  private static final int BUFFER = 64 * 1024;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment buffer = arena.allocate(BUFFER, Long.BYTES);
  private final Fd socket;
  private int sequence;

  private Netlink(Fd socket) {
    this.socket = socket;
  }

  static Netlink open() throws LastErrorException {
    return new Netlink(new Fd(Libc.socket(AF_NETLINK, SOCK_RAW | Linux.O_CLOEXEC, 0)));
  }

  /**
   * Asks for a change and waits until it is made; {@code change} has the flags {@link #REQUEST} and
   * {@link #ACK}.
   */
  void change(Message change) throws LastErrorException {
    send(change);
    receive(_ -> {});
  }

  /**
   * Asks for a list.
   *
   * @param each gets the messages in the order of the kernel, from behind their struct nlmsghdr on
   */
  void list(Message dump, Consumer<ByteBuffer> each) throws LastErrorException {
    send(dump);
    receive(each);
  }

  private void send(Message message) {
    ByteBuffer bytes = message.finish(++sequence);
    buffer.asByteBuffer().put(bytes.duplicate());
    Libc.send(socket.number(), buffer.address(), bytes.remaining(), 0);
  }

  private void receive(Consumer<ByteBuffer> each) {
    while (true) {
      int length = (int) Libc.recv(socket.number(), buffer.address(), BUFFER, 0);
      ByteBuffer bytes = buffer.asByteBuffer().order(ByteOrder.nativeOrder()).limit(length);
      for (int at = 0; length - at >= Message.HEADER; ) {
        int size = bytes.getInt(at);
        if (size < Message.HEADER || size > length - at) {
          throw new LastErrorException(Linux.EPROTO);
        }
        // What is left of an answer that somebody gave up reading.
        if (bytes.getInt(at + 8) == sequence) {
          ByteBuffer body =
              bytes
                  .slice(at + Message.HEADER, size - Message.HEADER)
                  .order(ByteOrder.nativeOrder());
          int type = Short.toUnsignedInt(bytes.getShort(at + 4));
          if (type == NLMSG_ERROR || type == NLMSG_DONE) {
            int error = -body.getInt(0);
            if (error != 0) {
              throw new LastErrorException(error);
            }
            return;
          }
          each.accept(body);
        }
        at += (size + 3) & ~3;
      }
    }
  }

  @Override
  public void close() {
    socket.close();
    arena.close();
  }
}
