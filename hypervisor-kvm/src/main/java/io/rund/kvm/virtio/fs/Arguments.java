package io.rund.kvm.virtio.fs;

import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The arguments of one request: a copy that the guest cannot change any more, of exactly the size
 * and form that {@link Opcode} asks for. Reused; for one thread.
 */
final class Arguments {
  /** The longest: struct fuse_setxattr_in, a name and a value of XATTR_SIZE_MAX. */
  private static final int CAPACITY = 16 + 4096 + 64 * 1024;

  private final MemorySegment bytes = Arena.ofAuto().allocate(CAPACITY, Long.BYTES);
  private long length;
  private long text;
  private long secondText;

  /**
   * Copies and checks the arguments of {@code request}.
   *
   * @param fixed bytes of the fixed arguments
   * @return 0, or -EINVAL if they are not what {@code opcode} asks for or the answer has no room
   */
  int load(FsRequest request, Opcode opcode, int fixed) {
    length = request.argumentBytes();
    boolean fits = opcode.tail() == Opcode.Tail.DATA || length <= CAPACITY;
    if (!request.isWhole() || length < fixed || !fits || request.answerRoom() < opcode.answer()) {
      return -Linux.EINVAL;
    }
    request.copyArguments(bytes, opcode.tail() == Opcode.Tail.DATA ? fixed : length);
    text = fixed;
    boolean wellFormed =
        switch (opcode.tail()) {
          case NONE -> length == fixed;
          case TEXT -> endOfText(text) == length;
          case TWO_TEXTS -> {
            secondText = endOfText(text);
            yield endOfText(secondText) == length;
          }
          case TEXT_AND_VALUE -> {
            secondText = endOfText(text);
            yield length - secondText == Integer.toUnsignedLong(u32(0));
          }
          case DATA, ANY -> true;
        };
    return wellFormed ? 0 : -Linux.EINVAL;
  }

  /** Where the zero-terminated string at {@code from} is over; beyond the end if it never is. */
  private long endOfText(long from) {
    long at = from;
    while (at < length && bytes.get(ValueLayout.JAVA_BYTE, at) != 0) {
      at++;
    }
    return at + 1;
  }

  /** Bytes of all arguments. */
  long length() {
    return length;
  }

  int u32(long offset) {
    return bytes.get(Wire.INT, offset);
  }

  long u64(long offset) {
    return bytes.get(Wire.LONG, offset);
  }

  /** For reading texts from: they begin at {@link #text} and {@link #secondText}. */
  MemorySegment bytes() {
    return bytes;
  }

  long text() {
    return text;
  }

  /** Also the beginning of the value that follows a text. */
  long secondText() {
    return secondText;
  }
}
