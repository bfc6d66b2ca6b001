package io.rund.kvm.memory;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;

/** Maps guest RAM into this process. */
final class RamMapping {
  /** A huge page of the host and of its nested page tables, in bytes. */
  static final long HUGE_PAGE_SIZE = 2 << 20;

  private static final int ACCESS = Linux.PROT_READ | Linux.PROT_WRITE;
  private static final int ANONYMOUS =
      Linux.MAP_PRIVATE | Linux.MAP_ANONYMOUS | Linux.MAP_NORESERVE;

  private RamMapping() {}

  /** Puts something over a reserved range. */
  interface Filler {
    void fill(long address) throws LastErrorException;
  }

  /**
   * Maps {@code bytes} at a multiple of {@link #HUGE_PAGE_SIZE}: KVM gives the guest a huge page
   * only where host and guest addresses agree in their low bits.
   */
  static long map(long bytes, Filler filler) throws LastErrorException {
    long length = bytes + HUGE_PAGE_SIZE;
    long reserved = Libc.mmap(0, length, Linux.PROT_NONE, ANONYMOUS, -1, 0);
    long address = (reserved + HUGE_PAGE_SIZE - 1) & -HUGE_PAGE_SIZE;
    try {
      filler.fill(address);
    } catch (LastErrorException e) {
      Libc.munmap(reserved, length);
      throw e;
    }
    if (address > reserved) {
      Libc.munmap(reserved, address - reserved);
    }
    Libc.munmap(address + bytes, reserved + length - address - bytes);
    return address;
  }

  /** Writes go to the file. */
  static void shared(long address, long bytes, Fd file) throws LastErrorException {
    int flags = Linux.MAP_SHARED | Linux.MAP_FIXED | Linux.MAP_NORESERVE;
    Libc.mmap(address, bytes, ACCESS, flags, file.number(), 0);
  }

  /** What is written is this mapping's own, page by page. */
  static void copyOnWrite(long address, long bytes, Fd file, long offset)
      throws LastErrorException {
    int flags = Linux.MAP_PRIVATE | Linux.MAP_FIXED | Linux.MAP_NORESERVE;
    Libc.mmap(address, bytes, ACCESS, flags, file.number(), offset);
  }

  /** Zeros, in small pages until {@link #preferHuge}. */
  static void empty(long address, long bytes) throws LastErrorException {
    Libc.mmap(address, bytes, ACCESS, ANONYMOUS | Linux.MAP_FIXED, -1, 0);
    int _ = Libc.Try.madvise(address, bytes, Linux.MADV_NOHUGEPAGE);
  }

  /** From now on, huge pages where the host has some. */
  static void preferHuge(long address, long bytes) {
    int _ = Libc.Try.madvise(address, bytes, Linux.MADV_HUGEPAGE);
  }
}
