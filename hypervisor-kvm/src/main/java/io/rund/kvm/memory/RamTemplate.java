package io.rund.kvm.memory;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * The RAM of a guest at one moment, in a sealed memfd that nobody can change any more, also not
 * this process. Clones map it privately: pages are shared until somebody writes. Pages of zeros are
 * left out. Safe for use by several threads.
 */
public final class RamTemplate implements AutoCloseable {
  /** Of such a piece of RAM, in bytes, all pages are in the file's mapping or none. */
  static final long CHUNK = RamMapping.HUGE_PAGE_SIZE;

  private static final MemorySegment ZEROS =
      Arena.global().allocate(GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE);

  /** A part of RAM that is not all zeros, in bytes; what lies between has no page in the file. */
  private record Part(long offset, long length) {}

  private final Fd file;
  private final long bytes;
  private final List<Part> parts;

  private RamTemplate(Fd file, long bytes, List<Part> parts) {
    this.file = file;
    this.bytes = bytes;
    this.parts = parts;
  }

  /**
   * Copies RAM that nobody changes meanwhile.
   *
   * @param source the file that {@code ram} maps, whose holes are not touched
   */
  static RamTemplate copy(String name, Fd source, MemorySegment ram) {
    return copy(
        name,
        ram,
        (copy, chunks) -> {
          for (Data data = Data.first(source, copy.byteSize()); data != null; ) {
            copyChunks(ram, data.offset() / CHUNK * CHUNK, data.end(), copy, chunks);
            data = data.next(source, copy.byteSize());
          }
        });
  }

  /** Copies RAM that is no file's, and that nobody changes meanwhile. */
  static RamTemplate copy(String name, MemorySegment ram) {
    return copy(name, ram, (copy, chunks) -> copyChunks(ram, 0, copy.byteSize(), copy, chunks));
  }

  private static RamTemplate copy(String name, MemorySegment ram, Filler filler) {
    try {
      return make(name, ram.byteSize(), filler);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void copyChunks(
      MemorySegment ram, long from, long to, MemorySegment copy, LongConsumer chunks) {
    for (long at = from; at < to; at += CHUNK) {
      long length = Math.min(CHUNK, copy.byteSize() - at);
      if (copyPages(ram.asSlice(at, length), copy.asSlice(at, length))) {
        chunks.accept(at);
      }
    }
  }

  /** Writes into RAM that is all zeros, and tells in which chunks. */
  interface Filler {
    void fill(MemorySegment ram, LongConsumer chunks) throws IOException;
  }

  /**
   * Has RAM filled through a mapping that is gone afterwards, since a file that is mapped is not
   * sealed.
   *
   * @throws RundException RESOURCE_EXHAUSTED if the host refuses
   */
  static RamTemplate make(String name, long bytes, Filler filler) throws IOException {
    Fd file = null;
    RamTemplate made = null;
    try {
      file = new Fd(Libc.memfd_create(name, Linux.MFD_CLOEXEC | Linux.MFD_ALLOW_SEALING));
      Libc.ftruncate(file.number(), bytes);
      List<Part> parts = new ArrayList<>();
      Fd mapped = file;
      long address = RamMapping.map(bytes, at -> RamMapping.shared(at, bytes, mapped));
      try {
        MemorySegment ram = MemorySegment.ofAddress(address).reinterpret(bytes);
        filler.fill(ram, at -> add(parts, at, Math.min(CHUNK, bytes - at)));
        makeHuge(file, address, bytes);
      } finally {
        Libc.munmap(address, bytes);
      }
      int seals = Linux.F_SEAL_WRITE | Linux.F_SEAL_SHRINK | Linux.F_SEAL_GROW | Linux.F_SEAL_SEAL;
      Libc.fcntl(file.number(), Linux.F_ADD_SEALS, seals);
      made = new RamTemplate(file, bytes, List.copyOf(parts));
      return made;
    } catch (LastErrorException e) {
      throw new RundException(
          ErrorCode.RESOURCE_EXHAUSTED, "cannot keep guest memory: " + e.getMessage(), e);
    } finally {
      if (made == null && file != null) {
        file.close();
      }
    }
  }

  /**
   * Chunks without a page of zeros, such as a kernel's code, become huge pages: a clone that only
   * reads there has one fault for them. A host that has none, or a Linux before 6.1, goes on with
   * small ones.
   */
  private static void makeHuge(Fd file, long address, long bytes) {
    Data data = Data.first(file, bytes);
    while (data != null) {
      long first = Math.ceilDiv(data.offset(), CHUNK) * CHUNK;
      for (long at = first; at + CHUNK <= data.end(); at += CHUNK) {
        int _ = Libc.Try.madvise(address + at, CHUNK, Linux.MADV_COLLAPSE);
      }
      data = data.next(file, bytes);
    }
  }

  /** A piece of a file that is no hole: from {@code offset} to {@code end}. */
  record Data(long offset, long end) {
    /** Null if there is none in the first {@code bytes}. */
    static Data first(Fd file, long bytes) {
      return new Data(0, 0).next(file, bytes);
    }

    Data next(Fd file, long bytes) {
      long from = seek(file, end, Linux.SEEK_DATA);
      return from < 0 || from >= bytes
          ? null
          : new Data(from, Math.min(seek(file, from, Linux.SEEK_HOLE), bytes));
    }

    private static long seek(Fd file, long from, int whence) {
      long found = FileCalls.lseek(file.number(), from, whence);
      if (found < 0 && Native.getLastError() != Linux.ENXIO) {
        throw RundException.internal("lseek on guest memory: errno " + Native.getLastError(), null);
      }
      return found;
    }
  }

  private static boolean copyPages(MemorySegment from, MemorySegment to) {
    boolean any = false;
    for (long page = 0; page < from.byteSize(); page += GuestMemory.PAGE_SIZE) {
      MemorySegment bytes = from.asSlice(page, GuestMemory.PAGE_SIZE);
      if (bytes.mismatch(ZEROS) >= 0) {
        MemorySegment.copy(bytes, 0, to, page, GuestMemory.PAGE_SIZE);
        any = true;
      }
    }
    return any;
  }

  private static void add(List<Part> parts, long offset, long length) {
    Part last = parts.isEmpty() ? null : parts.getLast();
    if (last == null || last.offset() + last.length() < offset) {
      parts.add(new Part(offset, length));
    } else {
      parts.set(parts.size() - 1, new Part(last.offset(), offset + length - last.offset()));
    }
  }

  /** Bytes of RAM. */
  long bytes() {
    return bytes;
  }

  /**
   * The memfd, for the caller to read and close.
   *
   * @throws RundException FAILED_PRECONDITION if the template is closed
   */
  synchronized Fd open() {
    checkOpen();
    return file.duplicate();
  }

  private void checkOpen() {
    if (!file.isOpen()) {
      throw RundException.precondition("the template has been released");
    }
  }

  /**
   * Maps the RAM anew.
   *
   * @throws RundException FAILED_PRECONDITION if the template is closed
   */
  synchronized long map() throws LastErrorException {
    checkOpen();
    return RamMapping.map(
        bytes,
        address -> {
          RamMapping.empty(address, bytes);
          for (Part part : parts) {
            RamMapping.copyOnWrite(address + part.offset(), part.length(), file, part.offset());
          }
        });
  }

  /** Clones that have mapped it go on. Idempotent. */
  @Override
  public synchronized void close() {
    file.close();
  }
}
