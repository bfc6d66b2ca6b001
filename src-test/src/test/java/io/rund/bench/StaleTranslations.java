package io.rund.bench;

import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;

/**
 * What an emulated machine has translated of guests that are gone. It keeps translations by address
 * of its own memory, and throws each away, slowly, when that is first written again: by the next
 * boot, whoever's it is. So they are thrown away before a boot is measured; elsewhere than in an
 * emulated machine this does nothing.
 */
final class StaleTranslations {
  /** More than the guests of a benchmark have, of the memory that was last freed. */
  private static final long HUGE = 1L << 30;

  /** Likewise, of what is no whole huge page. */
  private static final long SMALL = HUGE / 2;

  private StaleTranslations() {}

  /** Has zeros written to free memory. */
  static void forget() {
    long address =
        Libc.mmap(
            0,
            SMALL + HUGE,
            Linux.PROT_READ | Linux.PROT_WRITE,
            Linux.MAP_PRIVATE | Linux.MAP_ANONYMOUS,
            -1,
            0);
    Libc.madvise(address, SMALL, Linux.MADV_NOHUGEPAGE);
    Libc.madvise(address + SMALL, HUGE, Linux.MADV_HUGEPAGE);
    Libc.madvise(address, SMALL + HUGE, Linux.MADV_POPULATE_WRITE);
    Libc.munmap(address, SMALL + HUGE);
  }
}
