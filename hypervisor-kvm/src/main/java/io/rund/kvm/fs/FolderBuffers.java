package io.rund.kvm.fs;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;

/**
 * A few buffers for folders that are being read, so that what the host has given and the guest has
 * not taken yet need not be read again. Bounded, however many folders a guest opens. Thread-safe.
 */
final class FolderBuffers {
  static final int SIZE = 32 * 1024;
  private static final int MAX = 8;

  private final ArrayDeque<MemorySegment> free = new ArrayDeque<>();
  private int made;

  /** A buffer to be given back, or null if all are in use. */
  synchronized MemorySegment take() {
    if (free.isEmpty() && made < MAX) {
      made++;
      return Arena.ofAuto().allocate(SIZE, Long.BYTES);
    }
    return free.poll();
  }

  synchronized void give(MemorySegment buffer) {
    free.push(buffer);
  }
}
