package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What a file system says of itself (statfs(2)).
 *
 * @param type its magic number (include/uapi/linux/magic.h)
 * @param bytes its size; 0 if it has none
 */
public record StatFs(long type, long bytes) {
  public static final long TMPFS_MAGIC = 0x01021994;

  /**
   * Size of struct statfs, eight-byte words of which the first three are f_type, f_bsize, f_blocks.
   */
  private static final int SIZE = 120;

  /** Of the file system that the descriptor's file is on; O_PATH is enough. */
  public static StatFs of(Fd fd) throws LastErrorException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(SIZE, Long.BYTES);
      Libc.fstatfs(fd.number(), result.address());
      return new StatFs(
          result.getAtIndex(ValueLayout.JAVA_LONG, 0),
          result.getAtIndex(ValueLayout.JAVA_LONG, 1)
              * result.getAtIndex(ValueLayout.JAVA_LONG, 2));
    }
  }
}
