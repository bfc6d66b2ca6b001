package io.rund.network;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A request of rtnetlink in the making: struct nlmsghdr, a fixed part, attributes
 * (include/uapi/linux/netlink.h). Lengths are filled in at the end.
 */
final class Message {
  static final int HEADER = 16;

  private static final int CAPACITY = 4096;
  private static final int ATTRIBUTE_HEADER = 4;
  private static final int NESTED = 1 << 15;

  private final ByteBuffer bytes =
      ByteBuffer.allocate(CAPACITY).order(ByteOrder.nativeOrder()).position(HEADER);
  private final Deque<Integer> open = new ArrayDeque<>();

  /**
   * @param type RTM_*
   * @param flags NLM_F_*
   */
  Message(int type, int flags) {
    bytes.putShort(4, (short) type).putShort(6, (short) flags);
  }

  Message u8(int value) {
    bytes.put((byte) value);
    return this;
  }

  Message u16(int value) {
    bytes.putShort((short) value);
    return this;
  }

  Message u32(int value) {
    bytes.putInt(value);
    return this;
  }

  /** Bytes of zero. */
  Message zero(int count) {
    bytes.put(new byte[count]);
    return this;
  }

  Message attribute(int type, int value) {
    begin(type);
    return u32(value).end();
  }

  /** A text with its final zero. */
  Message attribute(int type, String value) {
    begin(type);
    bytes.put(value.getBytes(StandardCharsets.UTF_8)).put((byte) 0);
    return end();
  }

  Message attribute(int type, InetAddress value) {
    begin(type);
    bytes.put(value.getAddress());
    return end();
  }

  /** Begins an attribute whose content follows, up to {@link #end}. */
  Message begin(int type) {
    open.push(bytes.position());
    return u16(0).u16(type);
  }

  /** Begins an attribute that consists of attributes. */
  Message nest(int type) {
    return begin(type | NESTED);
  }

  Message end() {
    int start = open.pop();
    bytes.putShort(start, (short) (bytes.position() - start));
    while (bytes.position() % ATTRIBUTE_HEADER != 0) {
      bytes.put((byte) 0);
    }
    return this;
  }

  /** The finished request. */
  ByteBuffer finish(int sequence) {
    bytes.putInt(0, bytes.position()).putInt(8, sequence);
    return bytes.duplicate().order(ByteOrder.nativeOrder()).flip();
  }
}
