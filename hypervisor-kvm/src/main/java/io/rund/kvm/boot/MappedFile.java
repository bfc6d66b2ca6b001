package io.rund.kvm.boot;

import io.rund.core.linux.Libc;
import io.rund.kvm.memory.GuestMemory;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A host file that is copied into guest memory, straight from the page cache. One thread's. */
final class MappedFile implements AutoCloseable {
  /** include/uapi/asm-generic/mman-common.h, since Linux 5.14; before it, pages fault in later. */
  private static final int MADV_POPULATE_READ = 22;

  private final Arena arena = Arena.ofConfined();
  private final MemorySegment bytes;

  MappedFile(Path path) throws IOException {
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.READ)) {
      bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), arena);
    } catch (IOException e) {
      arena.close();
      throw e;
    }
  }

  /** The whole file. */
  MemorySegment bytes() {
    return bytes;
  }

  long size() {
    return bytes.byteSize();
  }

  /** Copies a part of the file that is known to exist. */
  void copy(long position, long length, GuestMemory memory, long gpa) throws IOException {
    long page = position & -GuestMemory.PAGE_SIZE;
    Libc.Try.madvise(bytes.address() + page, position - page + length, MADV_POPULATE_READ);
    try {
      MemorySegment.copy(bytes, position, memory.slice(gpa, length), 0, length);
    } catch (InternalError e) {
      // How the JVM tells of SIGBUS: somebody has cut the file meanwhile.
      EOFException eof = new EOFException("the file became shorter");
      eof.initCause(e);
      throw eof;
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
