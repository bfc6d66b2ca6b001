package io.rund.kvm.memory;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/**
 * What is behind each page of this process: /proc/self/pagemap
 * (Documentation/admin-guide/mm/pagemap.rst). For one thread.
 */
final class PageMap implements AutoCloseable {
  static final Path PATH = Path.of("/proc/self/pagemap");

  private static final long PRESENT = 1L << 63;
  private static final long SWAPPED = 1L << 62;
  private static final long OF_A_FILE = 1L << 61;

  private final FileChannel map;
  private final ByteBuffer entries =
      ByteBuffer.allocate((int) (RamTemplate.CHUNK / GuestMemory.PAGE_SIZE * Long.BYTES))
          .order(ByteOrder.nativeOrder());

  PageMap() throws IOException {
    map = FileChannel.open(PATH);
  }

  /** Whether there is anything, in memory or swapped out. */
  static boolean isThere(long entry) {
    return (entry & (PRESENT | SWAPPED)) != 0;
  }

  /** Whether it is in memory and this process's own. */
  static boolean isOwn(long entry) {
    return (entry & (PRESENT | OF_A_FILE)) == PRESENT;
  }

  /**
   * The entries of the pages from {@code address} on, until the next call.
   *
   * @param length in bytes, at most {@link RamTemplate#CHUNK}
   */
  LongBuffer entries(long address, long length) throws IOException {
    long at = address / GuestMemory.PAGE_SIZE * Long.BYTES;
    entries.clear().limit(Math.toIntExact(length / GuestMemory.PAGE_SIZE * Long.BYTES));
    while (entries.hasRemaining()) {
      if (map.read(entries, at + entries.position()) < 0) {
        throw new EOFException("it ends");
      }
    }
    return entries.flip().asLongBuffer();
  }

  @Override
  public void close() throws IOException {
    map.close();
  }
}
