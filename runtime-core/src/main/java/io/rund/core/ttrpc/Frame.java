package io.rund.core.ttrpc;

import com.google.protobuf.MessageLite;
import java.nio.ByteBuffer;

/**
 * One ttrpc frame: header u32 length, u32 stream id, u8 type, u8 flags, all big endian, then the
 * payload (containerd/ttrpc PROTOCOL.md).
 *
 * @param streamId odd for streams that a client opened
 * @param type {@link #REQUEST}, {@link #RESPONSE} or {@link #DATA}
 * @param payload an encoded {@code ttrpc.Request} or {@code ttrpc.Response}
 */
public record Frame(int streamId, byte type, ByteBuffer payload) {
  public static final byte REQUEST = 1;
  public static final byte RESPONSE = 2;
  public static final byte DATA = 3;

  public static final int HEADER_SIZE = 10;

  /** No frame's payload is longer (containerd/ttrpc channel.go: 4 MiB). */
  public static final int MAX_PAYLOAD = 4 << 20;

  /** The bytes on the wire of one message; ready to be written. */
  public static ByteBuffer encode(int streamId, byte type, MessageLite message) {
    int length = message.getSerializedSize();
    ByteBuffer out = ByteBuffer.allocate(HEADER_SIZE + length);
    out.putInt(length).putInt(streamId).put(type).put((byte) 0);
    out.put(message.toByteArray());
    return out.flip();
  }
}
