package io.rund.bench;

import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestMemory;

/**
 * What an emulated machine has translated of guests that are gone. It keeps translations by address
 * of its own memory, and throws each away, slowly, when that is first written again: by the next
 * boot, whoever's it is. So they are thrown away before a boot is measured; elsewhere than in an
 * emulated machine this does nothing.
 */
final class StaleTranslations {
  /** More than the guests of a benchmark have, of the memory that was last freed. */
  private static final long BYTES = 1L << 30;

  private StaleTranslations() {}

  /** Writes zeros to memory of the kind that guests get, and frees it. */
  static void forget() {
    try (GuestMemory memory = GuestMemory.allocate("bench", BYTES)) {
      Libc.madvise(memory.hostAddress(0, BYTES), BYTES, Linux.MADV_POPULATE_WRITE);
    }
  }
}
