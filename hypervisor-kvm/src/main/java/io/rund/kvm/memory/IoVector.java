package io.rund.kvm.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A list of memory pieces as readv(2) takes it: struct iovec {void *base; size_t length}. Reused;
 * for one thread at a time.
 */
public final class IoVector {
  private static final int ENTRY = 16;

  private final MemorySegment entries;
  private int first;
  private int end;
  private long bytes;

  /** {@code capacity} is at most IOV_MAX, 1024. */
  public IoVector(int capacity) {
    entries = Arena.ofAuto().allocate((long) capacity * ENTRY, Long.BYTES);
  }

  public void clear() {
    first = 0;
    end = 0;
    bytes = 0;
  }

  /** A piece that begins where the last one ends makes that longer. */
  public void add(long address, long length) {
    bytes += length;
    if (end > first) {
      long last = (long) (end - 1) * ENTRY;
      long lastLength = entries.get(ValueLayout.JAVA_LONG, last + 8);
      if (entries.get(ValueLayout.JAVA_LONG, last) + lastLength == address) {
        entries.set(ValueLayout.JAVA_LONG, last + 8, lastLength + length);
        return;
      }
    }
    entries.set(ValueLayout.JAVA_LONG, (long) end * ENTRY, address);
    entries.set(ValueLayout.JAVA_LONG, (long) end * ENTRY + 8, length);
    end++;
  }

  /** Address of the first struct iovec. */
  public long address() {
    return entries.address() + (long) first * ENTRY;
  }

  /** Number of pieces left. */
  public int count() {
    return end - first;
  }

  /** Bytes left. */
  public long bytes() {
    return bytes;
  }

  /** Takes {@code n} bytes, at most {@link #bytes}, off the front. */
  public void advance(long n) {
    bytes -= n;
    long left = n;
    while (first < end) {
      long length = entries.get(ValueLayout.JAVA_LONG, (long) first * ENTRY + 8);
      if (left < length) {
        long base = entries.get(ValueLayout.JAVA_LONG, (long) first * ENTRY);
        entries.set(ValueLayout.JAVA_LONG, (long) first * ENTRY, base + left);
        entries.set(ValueLayout.JAVA_LONG, (long) first * ENTRY + 8, length - left);
        return;
      }
      left -= length;
      first++;
    }
  }
}
