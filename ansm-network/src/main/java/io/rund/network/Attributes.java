package io.rund.network;

import io.rund.core.error.RundException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** The attributes of an answer of rtnetlink: struct rtattr, one after the other. */
final class Attributes {
  private static final int HEADER = 4;

  /** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
  private static final int TYPE_MASK = 0x3fff;

  private final Map<Integer, ByteBuffer> values = new HashMap<>();

  private Attributes() {}

  /** Reads {@code bytes} from its position to its end. */
  static Attributes read(ByteBuffer bytes) {
    Attributes attributes = new Attributes();
    int at = bytes.position();
    while (bytes.limit() - at >= HEADER) {
      int length = Short.toUnsignedInt(bytes.getShort(at));
      if (length < HEADER || length > bytes.limit() - at) {
        break;
      }
      int type = bytes.getShort(at + 2) & TYPE_MASK;
      ByteBuffer value = bytes.slice(at + HEADER, length - HEADER).order(ByteOrder.nativeOrder());
      attributes.values.put(type, value);
      at += (length + 3) & ~3;
    }
    return attributes;
  }

  boolean has(int type) {
    return values.containsKey(type);
  }

  int number(int type, int otherwise) {
    ByteBuffer value = values.get(type);
    return value == null || value.remaining() < Integer.BYTES ? otherwise : value.getInt(0);
  }

  byte[] bytes(int type) {
    ByteBuffer value = values.get(type);
    if (value == null) {
      return new byte[0];
    }
    byte[] bytes = new byte[value.remaining()];
    value.get(0, bytes);
    return bytes;
  }

  /** A text without its final zero. */
  String text(int type) {
    String text = new String(bytes(type), StandardCharsets.UTF_8);
    int end = text.indexOf('\0');
    return end < 0 ? text : text.substring(0, end);
  }

  Optional<InetAddress> address(int type) {
    if (!has(type)) {
      return Optional.empty();
    }
    try {
      return Optional.of(InetAddress.getByAddress(bytes(type)));
    } catch (UnknownHostException e) {
      throw RundException.internal("the kernel gave an address that is none", e);
    }
  }

  Attributes nested(int type) {
    ByteBuffer value = values.get(type);
    return value == null ? new Attributes() : read(value);
  }
}
