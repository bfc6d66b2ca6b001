package io.rund.kvm.memory;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

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
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.BitSet;
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

  /**
   * A process has only so many mappings (vm.max_map_count), and a guest that has long been at work
   * may have data in every second chunk.
   */
  static final int MOST_SHARED = 64;

  /** A part of RAM, in bytes. */
  private record Part(long offset, long length) {
    long end() {
      return offset + length;
    }
  }

  private final Fd file;
  private final long bytes;

  /** Chunks whose pages clones share until they write. In those that are nowhere all is zero. */
  private final List<Part> shared = new ArrayList<>();

  /** By chunks that have only been begun, their data, which each clone copies. */
  private final Map<Long, List<Data>> begun = new LinkedHashMap<>();

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

  /**
   * Copies the RAM of a clone of this template that nobody changes meanwhile. What it has never
   * used is not touched: that would map pages of zeros, and a huge one is broken up when it is
   * written.
   */
  RamTemplate copyClone(String name, MemorySegment ram) {
    BitSet files = new BitSet();
    shared.forEach(part -> files.set(chunk(part.offset), chunk(part.end() - 1) + 1));
    return copy(
        name,
        ram,
        copy -> {
          try (PageMap map = new PageMap()) {
            for (long at = 0; at < bytes; at += CHUNK) {
              long end = Math.min(at + CHUNK, bytes);
              if (files.get(chunk(at))) {
                copyPages(ram, at, end, copy);
              } else {
                copyThere(ram, at, map.entries(ram.address() + at, end - at), copy);
              }
            }
          }
        });
  }

  private static int chunk(long offset) {
    return Math.toIntExact(offset / CHUNK);
  }

  private static void copyThere(
      MemorySegment from, long begin, LongBuffer entries, MemorySegment to) {
    for (long page = begin; entries.hasRemaining(); page += GuestMemory.PAGE_SIZE) {
      if (PageMap.isThere(entries.get())) {
        copyPages(from, page, page + GuestMemory.PAGE_SIZE, to);
      }
    }
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
    data(file, bytes).stream()
        .collect(groupingBy(Data::chunk, LinkedHashMap::new, toList()))
        .forEach(
            (chunk, data) -> {
              long filled = data.stream().mapToLong(Data::length).sum();
              if (filled <= BEGUN && chunk + CHUNK <= bytes && begun.size() < MOST_BEGUN) {
                begun.put(chunk, data);
                return;
              }
              if (filled == CHUNK) {
                int _ = Libc.Try.madvise(address + chunk, CHUNK, Linux.MADV_COLLAPSE);
              }
              share(new Part(chunk, Math.min(CHUNK, bytes - chunk)), 0);
            });
    for (long gap = CHUNK; shared.size() > MOST_SHARED; gap *= 2) {
      List<Part> parts = List.copyOf(shared);
      shared.clear();
      for (Part part : parts) {
        share(part, gap);
      }
    }
  }

  /** The pieces of the first {@code bytes} of a file that are no holes, each of one chunk. */
  static List<Data> data(Fd file, long bytes) {
    List<Data> pieces = new ArrayList<>();
    for (Data data = Data.first(file, bytes); data != null; data = data.next(file, bytes)) {
      for (long at = data.offset(); at < data.end(); ) {
        long end = Math.min(at - at % CHUNK + CHUNK, data.end());
        pieces.add(new Data(at, end));
        at = end;
      }
    }
    return pieces;
  }

  /** Neighbours with no more than a gap between them are mapped in one piece. */
  private void share(Part part, long gap) {
    Part last = shared.isEmpty() ? null : shared.getLast();
    if (last == null || last.end() + gap < part.offset) {
      shared.add(part);
    } else {
      shared.set(shared.size() - 1, new Part(last.offset, part.end() - last.offset));
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

    long length() {
      return end - offset;
    }

    /** Where the chunk begins in which it begins. */
    long chunk() {
      return offset - offset % CHUNK;
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
          data.forEach(piece -> read(mapped, piece, address));
        });
  }

  private static void read(Fd from, Data piece, long address) throws LastErrorException {
    for (long at = piece.offset; at < piece.end; ) {
      at += Libc.pread(from.number(), address + at, piece.end - at, at);
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
