package io.rund.kvm.fs;

import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * One component of a path: 1 to 255 bytes, no '/', neither "." nor "..". The only kind of path that
 * reaches a system call together with a guest's folder, so none leads upwards or through a link. It
 * is a copy, so the guest cannot change it after the check. Reused; for one thread.
 */
public final class Name {
  /** NAME_MAX of Linux. */
  private static final int MAX = 255;

  private final MemorySegment bytes = Arena.ofAuto().allocate(MAX + 1);
  private int length;

  /**
   * Takes the string that starts at {@code offset}.
   *
   * @param limit end of what may be looked at: the terminator lies before it
   * @return bytes taken, with the terminator; -EINVAL or -ENAMETOOLONG if it is not a name: then
   *     this is empty and refused everywhere
   */
  public int set(MemorySegment source, long offset, long limit) {
    length = 0;
    long room = Math.min(limit - offset, MAX + 1);
    int n = 0;
    boolean slash = false;
    while (n < room) {
      byte b = source.get(ValueLayout.JAVA_BYTE, offset + n);
      if (b == 0) {
        break;
      }
      slash |= b == '/';
      bytes.set(ValueLayout.JAVA_BYTE, n, b);
      n++;
    }
    if (n == MAX + 1) {
      return -Linux.ENAMETOOLONG;
    }
    if (n == 0 || n >= room || slash || isDots(n)) {
      return -Linux.EINVAL;
    }
    bytes.set(ValueLayout.JAVA_BYTE, n, (byte) 0);
    length = n;
    return n + 1;
  }

  private boolean isDots(int n) {
    return n <= 2
        && bytes.get(ValueLayout.JAVA_BYTE, 0) == '.'
        && (n == 1 || bytes.get(ValueLayout.JAVA_BYTE, 1) == '.');
  }

  boolean isEmpty() {
    return length == 0;
  }

  long address() {
    return bytes.address();
  }

  /** For the names of shares, which are ASCII. */
  @Override
  public String toString() {
    return new String(
        bytes.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }
}
