package io.rund.kvm.memory;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The RAM of one guest: a file of {@link RamFiles} mapped once, or a private mapping of a {@link
 * RamTemplate}, addressed by guest-physical address. Every access goes through {@link #offset},
 * which throws {@link GuestFault} for any byte that is not RAM, so no caller can be talked into
 * touching something else. Values are little endian.
 *
 * <p>RAM starts at address 0 and leaves out the hole from {@link #HOLE_START} to {@link #HOLE_END}
 * that devices use; what does not fit below it continues above. A range may not span the hole.
 *
 * <p>Safe for use by several threads, as memory is: the guest changes it at any time. After {@link
 * #close} every access through this class or a slice of it throws IllegalStateException; raw
 * addresses given to system calls must be out of use by then.
 */
public final class GuestMemory implements AutoCloseable {
  /** The first address of the device hole: 3 GiB. */
  public static final long HOLE_START = 0xc000_0000L;

  /** The first address after the device hole: 4 GiB. */
  public static final long HOLE_END = 0x1_0000_0000L;

  /** The unit of RAM size, in bytes. */
  public static final int PAGE_SIZE = 4096;

  /** Bytes that {@link #residentBytes} asks for at a time. */
  private static final long RESIDENT_STEP = 64 << 20;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * One contiguous piece of RAM.
   *
   * @param address guest-physical, of its first byte
   * @param hostAddress where this process maps that byte
   * @param length in bytes
   */
  public record Region(long address, long hostAddress, long length) {}

  /** Null for a clone, whose mapping is private. */
  private final Fd file;

  /** Null but for a clone. */
  private final RamTemplate template;

  private boolean working;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment ram;
  private final long lowSize;
  private final long highSize;

  private GuestMemory(Fd file, RamTemplate template, long address, long bytes) {
    this.file = file;
    this.template = template;
    this.ram =
        MemorySegment.ofAddress(address)
            .reinterpret(bytes, arena, segment -> Libc.munmap(address, bytes));
    this.lowSize = Math.min(bytes, HOLE_START);
    this.highSize = bytes - lowSize;
  }

  /**
   * Makes {@code bytes} of RAM, all zero and not yet backed by host pages.
   *
   * @param name of the file, seen in /proc/PID/maps
   * @param bytes a positive multiple of {@link #PAGE_SIZE}
   * @throws RundException INVALID_ARGUMENT for another size, RESOURCE_EXHAUSTED if the host refuses
   */
  public static GuestMemory allocate(String name, long bytes) {
    if (bytes <= 0 || bytes % PAGE_SIZE != 0) {
      throw RundException.invalid(
          "guest memory of " + bytes + " bytes: give a positive multiple of " + PAGE_SIZE);
    }
    Fd file = null;
    try {
      file = RamFiles.create(name);
      Libc.ftruncate(file.number(), bytes);
      Fd mapped = file;
      long address = RamMapping.map(bytes, at -> RamMapping.shared(at, bytes, mapped));
      return new GuestMemory(file, null, address, bytes);
    } catch (LastErrorException e) {
      if (file != null) {
        file.close();
      }
      throw new RundException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "cannot map " + bytes + " bytes of guest memory for " + name + ": " + e.getMessage(),
          e);
    }
  }

  /**
   * The RAM of a template, private to the caller from the first write to a page on.
   *
   * @throws RundException RESOURCE_EXHAUSTED if the host refuses, FAILED_PRECONDITION if the
   *     template is closed
   */
  public static GuestMemory clone(RamTemplate template) {
    try {
      return new GuestMemory(null, template, template.map(), template.bytes());
    } catch (LastErrorException e) {
      throw new RundException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "cannot map a clone of %d bytes of guest memory (is vm.max_map_count too low?): %s"
              .formatted(template.bytes(), e.getMessage()),
          e);
    }
  }

  /** Copies RAM that nobody changes meanwhile. */
  public RamTemplate toTemplate(String name) {
    return file == null ? template.copyClone(name, ram) : RamTemplate.copy(name, file, ram);
  }

  /** Bytes of RAM that are in the host's memory. To be kept from running beside {@link #close}. */
  public long residentBytes() {
    return IntStream.of(residentPages()).asLongStream().sum() * PAGE_SIZE;
  }

  /**
   * A clone's guest begins to work. Where it has nothing yet, it gets huge pages from now on, if
   * the host has some; where it has something, pages stay small. Its template learns what it has
   * written until now. Only the first call counts. To be kept from running beside another one and
   * {@link #close}.
   */
  public void beginsToWork() {
    // Of others, the file system decides about pages (RamFiles).
    if (template != null && !working) {
      working = true;
      template.learn(ram.address());
      preferHugePages();
    }
  }

  private void preferHugePages() {
    int[] resident;
    try {
      resident = residentPages();
    } catch (LastErrorException e) {
      return; // A host that has no page for the answer has no huge ones.
    }
    int whole = (int) (ram.byteSize() / RamMapping.HUGE_PAGE_SIZE);
    for (int chunk = 0; chunk < whole; chunk++) {
      int first = chunk;
      while (chunk < whole && resident[chunk] == 0) {
        chunk++;
      }
      if (chunk > first) {
        RamMapping.preferHuge(
            ram.address() + first * RamMapping.HUGE_PAGE_SIZE,
            (chunk - first) * RamMapping.HUGE_PAGE_SIZE);
      }
    }
  }

  /** How many pages of each {@link RamMapping#HUGE_PAGE_SIZE} are in the host's memory. */
  private int[] residentPages() {
    int[] resident = new int[(int) Math.ceilDiv(ram.byteSize(), RamMapping.HUGE_PAGE_SIZE)];
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment pages = scratch.allocate(RESIDENT_STEP / PAGE_SIZE);
      for (long at = 0; at < ram.byteSize(); at += RESIDENT_STEP) {
        long length = Math.min(RESIDENT_STEP, ram.byteSize() - at);
        Libc.syscall(Linux.SYS_MINCORE, ram.address() + at, length, pages.address(), 0, 0);
        for (long page = 0; page < length / PAGE_SIZE; page++) {
          int chunk = (int) ((at + page * PAGE_SIZE) / RamMapping.HUGE_PAGE_SIZE);
          // Only the lowest bit means something: mincore(2).
          resident[chunk] += pages.get(ValueLayout.JAVA_BYTE, page) & 1;
        }
      }
    }
    return resident;
  }

  /** Bytes of RAM. */
  public long size() {
    return lowSize + highSize;
  }

  /** The pieces of RAM in order of address: one, or two around the hole. */
  public List<Region> regions() {
    Region low = new Region(0, ram.address(), lowSize);
    return highSize == 0
        ? List.of(low)
        : List.of(low, new Region(HOLE_END, ram.address() + lowSize, highSize));
  }

  /**
   * The RAM from {@code gpa} on, {@code length} bytes, without a copy.
   *
   * @throws GuestFault if any of these bytes is not RAM or the range spans the hole
   */
  public MemorySegment slice(long gpa, long length) {
    return ram.asSlice(offset(gpa, length), length);
  }

  /**
   * Copies {@code length} bytes of RAM at {@code gpa} to {@code dst}; unlike {@link #slice} without
   * an allocation.
   *
   * @throws GuestFault as {@link #slice}
   */
  public void copyTo(long gpa, MemorySegment dst, long dstOffset, long length) {
    MemorySegment.copy(ram, offset(gpa, length), dst, dstOffset, length);
  }

  /**
   * Copies {@code length} bytes of {@code src} to the RAM at {@code gpa}.
   *
   * @throws GuestFault as {@link #slice}
   */
  public void copyFrom(MemorySegment src, long srcOffset, long gpa, long length) {
    MemorySegment.copy(src, srcOffset, ram, offset(gpa, length), length);
  }

  /**
   * Where this process maps {@code gpa}, for system calls that take addresses (preadv, pwritev).
   * Valid until {@link #close}.
   *
   * @throws GuestFault as {@link #slice}
   */
  public long hostAddress(long gpa, long length) {
    return ram.address() + offset(gpa, length);
  }

  public byte getByte(long gpa) {
    return ram.get(ValueLayout.JAVA_BYTE, offset(gpa, Byte.BYTES));
  }

  public short getShort(long gpa) {
    return ram.get(SHORT, offset(gpa, Short.BYTES));
  }

  public int getInt(long gpa) {
    return ram.get(INT, offset(gpa, Integer.BYTES));
  }

  public long getLong(long gpa) {
    return ram.get(LONG, offset(gpa, Long.BYTES));
  }

  public void putByte(long gpa, byte value) {
    ram.set(ValueLayout.JAVA_BYTE, offset(gpa, Byte.BYTES), value);
  }

  public void putShort(long gpa, short value) {
    ram.set(SHORT, offset(gpa, Short.BYTES), value);
  }

  public void putInt(long gpa, int value) {
    ram.set(INT, offset(gpa, Integer.BYTES), value);
  }

  public void putLong(long gpa, long value) {
    ram.set(LONG, offset(gpa, Long.BYTES), value);
  }

  /**
   * Gives back to the host what it has for the whole pages of a range. They then hold zeros, or in
   * a clone what its template had where both shared their pages. As far as the host does it: errors
   * are not reported.
   *
   * @throws GuestFault as {@link #slice}
   */
  public void discard(long gpa, long length) {
    long address = hostAddress(gpa, length);
    long from = (address + PAGE_SIZE - 1) & -PAGE_SIZE;
    long bytes = ((address + length) & -PAGE_SIZE) - from;
    if (bytes > 0) {
      // Of a private mapping, pages of its own go and those of the file are seen again.
      int advice = file == null ? Linux.MADV_DONTNEED : Linux.MADV_REMOVE;
      int _ = Libc.Try.madvise(from, bytes, advice);
    }
  }

  /** The one check: guest-physical range to offset in the mapping. Written so that no sum wraps. */
  private long offset(long gpa, long length) {
    if (length >= 0) {
      if (gpa >= 0 && gpa <= lowSize && length <= lowSize - gpa) {
        return gpa;
      }
      long high = gpa - HOLE_END;
      if (gpa >= HOLE_END && high <= highSize && length <= highSize - high) {
        return lowSize + high;
      }
    }
    throw new GuestFault(
        "guest-physical 0x%x, length 0x%x is not guest RAM".formatted(gpa, length));
  }

  /** Unmaps the RAM and closes its file. Idempotent. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      if (file != null) {
        file.close();
      }
      arena.close();
    }
  }
}
