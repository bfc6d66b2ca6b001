package io.rund.kvm.fs;

import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A zero-terminated string of the guest that is not a file name: the target of a symbolic link or
 * the name of an extended attribute. It is a copy, so the guest cannot change it after the check.
 * Reused; for one thread.
 */
public final class Text {
  /** PATH_MAX of Linux, with the terminator. */
  private static final int CAPACITY = 4096;

  private final MemorySegment bytes = Arena.ofAuto().allocate(CAPACITY);
  private int length;

  /**
   * Takes the string that starts at {@code offset}.
   *
   * @param limit end of what may be looked at: the terminator lies before it
   * @return bytes taken, with the terminator; -EINVAL if it is empty or has no terminator,
   *     -ENAMETOOLONG if it has more than 4095 bytes: then this is empty and refused everywhere
   */
  public int set(MemorySegment source, long offset, long limit) {
    length = 0;
    long room = Math.min(limit - offset, CAPACITY);
    int n = 0;
    while (n < room && source.get(ValueLayout.JAVA_BYTE, offset + n) != 0) {
      bytes.set(ValueLayout.JAVA_BYTE, n, source.get(ValueLayout.JAVA_BYTE, offset + n));
      n++;
    }
    if (n == CAPACITY) {
      return -Linux.ENAMETOOLONG;
    }
    if (n == 0 || n >= room) {
      return -Linux.EINVAL;
    }
    bytes.set(ValueLayout.JAVA_BYTE, n, (byte) 0);
    length = n;
    return n + 1;
  }

  boolean isEmpty() {
    return length == 0;
  }

  boolean startsWith(byte[] prefix) {
    if (length < prefix.length) {
      return false;
    }
    for (int i = 0; i < prefix.length; i++) {
      if (bytes.get(ValueLayout.JAVA_BYTE, i) != prefix[i]) {
        return false;
      }
    }
    return true;
  }

  long address() {
    return bytes.address();
  }
}
