package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** An open folder, and how far the guest has read it. */
final class OpenFolder extends Handle {
  /** Offsets in struct linux_dirent64 (include/linux/dirent.h). */
  private static final int NEXT = 8;

  private static final int LENGTH = 16;
  private static final int TYPE = 18;
  private static final int NAME = 19;

  private final FolderBuffers buffers;

  /** Entries that the guest has not taken yet, from {@code at} to {@code end}; or null. */
  private MemorySegment kept;

  private int at;
  private int end;

  /** Where the guest would go on, if {@code known}. */
  private long cookie;

  private boolean known;

  OpenFolder(long id, Node node, int fd, NodeBudget.Part budget, FolderBuffers buffers) {
    super(id, node, fd, budget);
    this.buffers = buffers;
  }

  /**
   * Hands on entries; returns 0 or a negative errno.
   *
   * @param spare holds entries when all buffers are in use
   */
  synchronized int read(long from, MemorySegment spare, DirectorySink sink) {
    if (!known || from != cookie || from == 0) {
      long sought = FileCalls.result(FileCalls.lseek(fd, from, Linux.SEEK_SET));
      if (sought < 0) {
        return (int) sought;
      }
      at = 0;
      end = 0;
      cookie = from;
      known = true;
    }
    if (kept == null) {
      kept = buffers.take();
    }
    MemorySegment buffer = kept == null ? spare : kept;
    boolean any = false;
    while (true) {
      if (at == end) {
        long n = FileCalls.result(FileCalls.getdents64(fd, buffer.address(), buffer.byteSize()));
        at = 0;
        end = (int) Math.max(n, 0);
        if (n <= 0) {
          letGo();
          return any ? 0 : (int) n;
        }
      }
      if (!handOver(buffer, sink)) {
        known = kept != null;
        return 0;
      }
      any = true;
    }
  }

  /** False when the sink is full. */
  private boolean handOver(MemorySegment buffer, DirectorySink sink) {
    while (at < end) {
      long inode = buffer.get(ValueLayout.JAVA_LONG, at);
      long next = buffer.get(ValueLayout.JAVA_LONG, at + NEXT);
      int type = buffer.get(ValueLayout.JAVA_BYTE, at + TYPE);
      int length = 0;
      while (buffer.get(ValueLayout.JAVA_BYTE, at + NAME + length) != 0) {
        length++;
      }
      if (!sink.add(buffer, at + NAME, length, inode, type, next)) {
        return false;
      }
      at += Short.toUnsignedInt(buffer.get(ValueLayout.JAVA_SHORT, at + LENGTH));
      cookie = next;
    }
    return true;
  }

  private void letGo() {
    if (kept != null) {
      buffers.give(kept);
      kept = null;
    }
  }

  @Override
  synchronized void closed() {
    letGo();
    super.closed();
  }
}
