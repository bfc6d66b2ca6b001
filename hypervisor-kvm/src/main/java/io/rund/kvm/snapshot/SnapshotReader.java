package io.rund.kvm.snapshot;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.rund.core.error.RundException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * The door through which the bytes of a snapshot come in: nothing is read, and no room is made for
 * anything, before its length has been compared with what is left. Every method throws {@link
 * RundException} FAILED_PRECONDITION, naming what is wrong, for bytes that no {@link
 * SnapshotWriter} has written. One thread's.
 */
public final class SnapshotReader {
  private final ByteBuffer bytes;

  /**
   * @param bytes from its position to its limit
   */
  public SnapshotReader(ByteBuffer bytes) {
    this.bytes = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** For whoever finds that a value cannot be right. */
  public static RundException damaged(String what) {
    return RundException.precondition("it is damaged: " + what);
  }

  private ByteBuffer take(int length, String what) {
    if (length > bytes.remaining()) {
      throw damaged("it ends within " + what);
    }
    return bytes;
  }

  /** A number that may be any. */
  public int int32(String what) {
    return take(Integer.BYTES, what).getInt();
  }

  public int int32(String what, int least, int most) {
    int value = int32(what);
    if (value < least || value > most) {
      throw damaged("%s is %d, not %d to %d".formatted(what, value, least, most));
    }
    return value;
  }

  /** A number that may be any. */
  public long int64(String what) {
    return take(Long.BYTES, what).getLong();
  }

  public byte[] bytes(String what, int length) {
    ByteBuffer source = take(length, what);
    byte[] value = new byte[length];
    source.get(value);
    return value;
  }

  public String text(String what, int longest) {
    return new String(bytes(what, int32("the length of " + what, 0, longest)), UTF_8);
  }

  /**
   * A list.
   *
   * @param most elements that there can be
   * @param least bytes that one element takes
   */
  public <T> List<T> list(String what, int most, int least, Function<SnapshotReader, T> codec) {
    int count = int32("the number of " + what, 0, Math.min(most, bytes.remaining() / least));
    List<T> values = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      values.add(codec.apply(this));
    }
    return List.copyOf(values);
  }

  public <T> Optional<T> optional(String what, Function<SnapshotReader, T> codec) {
    return int32("whether there is " + what, 0, 1) == 1
        ? Optional.of(codec.apply(this))
        : Optional.empty();
  }

  /** Nothing but zeros may be left. */
  public void end() {
    while (bytes.hasRemaining()) {
      if (bytes.get() != 0) {
        throw damaged("there is something behind its end");
      }
    }
  }
}
