package io.rund.kvm.fs;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A view of struct statfs (include/uapi/asm-generic/statfs.h). Reused; for one thread. */
public final class FsStatistics {
  private final MemorySegment statfs = Arena.ofAuto().allocate(120, Long.BYTES);

  public long blockSize() {
    return statfs.get(ValueLayout.JAVA_LONG, 8);
  }

  public long blocks() {
    return statfs.get(ValueLayout.JAVA_LONG, 16);
  }

  public long freeBlocks() {
    return statfs.get(ValueLayout.JAVA_LONG, 24);
  }

  /** Free blocks that are not kept for root. */
  public long availableBlocks() {
    return statfs.get(ValueLayout.JAVA_LONG, 32);
  }

  public long files() {
    return statfs.get(ValueLayout.JAVA_LONG, 40);
  }

  public long freeFiles() {
    return statfs.get(ValueLayout.JAVA_LONG, 48);
  }

  public int nameLength() {
    return (int) statfs.get(ValueLayout.JAVA_LONG, 64);
  }

  public long fragmentSize() {
    return statfs.get(ValueLayout.JAVA_LONG, 72);
  }

  /** The folder of shares holds nothing of its own. */
  void setEmpty() {
    statfs.fill((byte) 0);
    statfs.set(ValueLayout.JAVA_LONG, 8, 4096);
    statfs.set(ValueLayout.JAVA_LONG, 64, 255);
    statfs.set(ValueLayout.JAVA_LONG, 72, 4096);
  }

  MemorySegment memory() {
    return statfs;
  }
}
