package io.rund.kvm.snapshot;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;

/** Collects what {@link SnapshotReader} reads, little endian. One thread's. */
public final class SnapshotWriter {
  private ByteBuffer bytes = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);

  /** Writes one value. */
  public interface Codec<T> extends BiConsumer<T, SnapshotWriter> {}

  private ByteBuffer room(int more) {
    if (bytes.remaining() < more) {
      ByteBuffer larger = ByteBuffer.allocate(2 * bytes.capacity() + more);
      bytes = larger.order(ByteOrder.LITTLE_ENDIAN).put(bytes.flip());
    }
    return bytes;
  }

  public void int32(int value) {
    room(Integer.BYTES).putInt(value);
  }

  public void int64(long value) {
    room(Long.BYTES).putLong(value);
  }

  /** Bytes whose number the reader knows. */
  public void bytes(byte[] value) {
    room(value.length).put(value);
  }

  public void text(String value) {
    byte[] encoded = value.getBytes(UTF_8);
    int32(encoded.length);
    bytes(encoded);
  }

  public <T> void list(List<T> values, Codec<T> codec) {
    int32(values.size());
    values.forEach(value -> codec.accept(value, this));
  }

  public <T> void optional(Optional<T> value, Codec<T> codec) {
    int32(value.isPresent() ? 1 : 0);
    value.ifPresent(present -> codec.accept(present, this));
  }

  /** What was written, up to here. */
  public ByteBuffer written() {
    return bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).flip();
  }
}
