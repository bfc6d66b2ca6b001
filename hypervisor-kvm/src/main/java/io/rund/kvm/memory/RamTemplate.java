package io.rund.kvm.memory;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The RAM of a guest at one moment, in a sealed memfd that nobody can change any more, also not
 * this process. Clones map it privately: pages are shared until somebody writes. Pages of zeros are
 * left out. Safe for use by several threads.
 */
public final class RamTemplate implements AutoCloseable {
  private static final long CHUNK = RamMapping.HUGE_PAGE_SIZE;
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
    Fd file = null;
    try {
      long bytes = ram.byteSize();
      file = new Fd(Libc.memfd_create(name, Linux.MFD_CLOEXEC | Linux.MFD_ALLOW_SEALING));
      Libc.ftruncate(file.number(), bytes);
      List<Part> parts = fill(file, source, ram);
      int seals = Linux.F_SEAL_WRITE | Linux.F_SEAL_SHRINK | Linux.F_SEAL_GROW | Linux.F_SEAL_SEAL;
      Libc.fcntl(file.number(), Linux.F_ADD_SEALS, seals);
      return new RamTemplate(file, bytes, parts);
    } catch (LastErrorException | RundException e) {
      if (file != null) {
        file.close();
      }
      throw new RundException(
          ErrorCode.RESOURCE_EXHAUSTED, "cannot keep guest memory: " + e.getMessage(), e);
    }
  }

  /**
   * Copies through a mapping that is gone afterwards, since a file that is mapped is not sealed.
   */
  private static List<Part> fill(Fd file, Fd source, MemorySegment ram) {
    long bytes = ram.byteSize();
    long address = RamMapping.map(bytes, at -> RamMapping.shared(at, bytes, file));
    try {
      MemorySegment copy = MemorySegment.ofAddress(address).reinterpret(bytes);
      List<Part> parts = new ArrayList<>();
      for (long from = next(source, 0, Linux.SEEK_DATA); from >= 0 && from < bytes; ) {
        long end = Math.min(next(source, from, Linux.SEEK_HOLE), bytes);
        for (long chunk = from / CHUNK * CHUNK; chunk < end; chunk += CHUNK) {
          long length = Math.min(CHUNK, bytes - chunk);
          if (copyPages(ram.asSlice(chunk, length), copy.asSlice(chunk, length))) {
            RamMapping.collapse(address + chunk, length);
            add(parts, chunk, length);
          }
        }
        from = next(source, end, Linux.SEEK_DATA);
      }
      return List.copyOf(parts);
    } finally {
      Libc.munmap(address, bytes);
    }
  }

  /** The next data or hole; negative if there is none. */
  private static long next(Fd file, long from, int whence) {
    long found = FileCalls.lseek(file.number(), from, whence);
    if (found < 0 && Native.getLastError() != Linux.ENXIO) {
      throw RundException.internal("lseek on guest memory: errno " + Native.getLastError(), null);
    }
    return found;
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
   * Maps the RAM anew.
   *
   * @throws RundException FAILED_PRECONDITION if the template is closed
   */
  synchronized long map() throws LastErrorException {
    if (!file.isOpen()) {
      throw RundException.precondition("the template has been released");
    }
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
