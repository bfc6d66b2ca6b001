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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The RAM of a guest at one moment, in a sealed memfd that nobody can change any more, also not
 * this process. Clones map it privately: pages are shared until somebody writes. Pages of zeros are
 * left out. Safe for use by several threads.
 */
public final class RamTemplate implements AutoCloseable {
  /** A piece of RAM that is mapped in one way, in bytes. */
  static final long CHUNK = RamMapping.HUGE_PAGE_SIZE;

  /**
   * A chunk with no more data than this, in bytes, has only been begun: the guest's kernel takes
   * the rest of it before it begins another, so a clone takes most of it anyway.
   */
  private static final long BEGUN = CHUNK / 4;

  /**
   * A kernel begins one for each kind of page. In a guest that has long been at work there are many
   * that look so, and a copy of each would cost a clone its whole memory.
   */
  private static final int MOST_BEGUN = 4;

  private static final MemorySegment ZEROS =
      Arena.global().allocate(GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE);

  /** A part of RAM, in bytes. */
  private record Part(long offset, long length) {}

  private final Fd file;
  private final long bytes;

  /** Chunks whose pages clones share until they write. In those that are nowhere all is zero. */
  private final List<Part> shared = new ArrayList<>();

  /** By chunks that have only been begun, their data, which each clone copies. */
  private final Map<Long, List<Part>> begun = new LinkedHashMap<>();

  private final WrittenPages written = new WrittenPages();

  private RamTemplate(Fd file, long bytes) {
    this.file = file;
    this.bytes = bytes;
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
        copy -> {
          for (Data data = Data.first(source, copy.byteSize()); data != null; ) {
            copyPages(ram, data.offset(), data.end(), copy);
            data = data.next(source, copy.byteSize());
          }
        });
  }

  /** Copies RAM that is no file's, and that nobody changes meanwhile. */
  static RamTemplate copy(String name, MemorySegment ram) {
    return copy(name, ram, copy -> copyPages(ram, 0, copy.byteSize(), copy));
  }

  private static RamTemplate copy(String name, MemorySegment ram, Filler filler) {
    try {
      return make(name, ram.byteSize(), filler);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void copyPages(MemorySegment from, long begin, long end, MemorySegment to) {
    for (long page = begin; page < end; page += GuestMemory.PAGE_SIZE) {
      MemorySegment bytes = from.asSlice(page, GuestMemory.PAGE_SIZE);
      if (bytes.mismatch(ZEROS) >= 0) {
        MemorySegment.copy(bytes, 0, to, page, GuestMemory.PAGE_SIZE);
      }
    }
  }

  /** Writes into RAM that is all zeros. */
  interface Filler {
    void fill(MemorySegment ram) throws IOException;
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
      RamTemplate template = new RamTemplate(file, bytes);
      Fd mapped = file;
      long address = RamMapping.map(bytes, at -> RamMapping.shared(at, bytes, mapped));
      try {
        filler.fill(MemorySegment.ofAddress(address).reinterpret(bytes));
        template.sort(address);
      } finally {
        Libc.munmap(address, bytes);
      }
      int seals = Linux.F_SEAL_WRITE | Linux.F_SEAL_SHRINK | Linux.F_SEAL_GROW | Linux.F_SEAL_SEAL;
      Libc.fcntl(file.number(), Linux.F_ADD_SEALS, seals);
      made = template;
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
   * Decides how clones have each chunk. Those without a page of zeros, such as a kernel's code,
   * become huge pages of the file: a clone that only reads there has one fault for them. A host
   * that has none, or a Linux before 6.1, goes on with small ones.
   *
   * @param address where the file is mapped
   */
  private void sort(long address) {
    data()
        .forEach(
            (chunk, data) -> {
              long filled = data.stream().mapToLong(Part::length).sum();
              if (filled <= BEGUN && chunk + CHUNK <= bytes && begun.size() < MOST_BEGUN) {
                begun.put(chunk, data);
                return;
              }
              if (filled == CHUNK) {
                int _ = Libc.Try.madvise(address + chunk, CHUNK, Linux.MADV_COLLAPSE);
              }
              share(chunk, Math.min(CHUNK, bytes - chunk));
            });
  }

  /** The pieces of the file that are no holes, by the chunk in which they are, in order. */
  private Map<Long, List<Part>> data() {
    Map<Long, List<Part>> chunks = new LinkedHashMap<>();
    for (Data data = Data.first(file, bytes); data != null; data = data.next(file, bytes)) {
      for (long at = data.offset(); at < data.end(); ) {
        long chunk = at - at % CHUNK;
        long end = Math.min(chunk + CHUNK, data.end());
        chunks.computeIfAbsent(chunk, _ -> new ArrayList<>()).add(new Part(at, end - at));
        at = end;
      }
    }
    return chunks;
  }

  /** Neighbours are mapped in one piece. */
  private void share(long offset, long length) {
    Part last = shared.isEmpty() ? null : shared.getLast();
    if (last == null || last.offset + last.length < offset) {
      shared.add(new Part(offset, length));
    } else {
      shared.set(shared.size() - 1, new Part(last.offset, last.length + length));
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
  long map() throws LastErrorException {
    // Of its own, since others want the lock meanwhile.
    try (Fd mapped = open()) {
      long made = RamMapping.map(bytes, address -> fill(address, mapped));
      written.populate(made);
      return made;
    }
  }

  private void fill(long address, Fd mapped) throws LastErrorException {
    RamMapping.empty(address, bytes);
    for (Part part : shared) {
      RamMapping.copyOnWrite(address + part.offset, part.length, mapped, part.offset);
    }
    begun.forEach(
        (chunk, data) -> {
          RamMapping.preferHuge(address + chunk, CHUNK);
          data.forEach(part -> read(mapped, part, address));
        });
  }

  private static void read(Fd from, Part part, long address) throws LastErrorException {
    for (long done = 0; done < part.length; ) {
      long at = part.offset + done;
      done += Libc.pread(from.number(), address + at, part.length - done, at);
    }
  }

  /**
   * Learns from a clone what clones write until they begin to work; those to come have it from the
   * start.
   *
   * @param address where the clone is mapped
   */
  void learn(long address) {
    written.learn(address, bytes, chunk -> !begun.containsKey(chunk));
  }

  /** Clones that have mapped it go on. Idempotent. */
  @Override
  public synchronized void close() {
    file.close();
  }
}
