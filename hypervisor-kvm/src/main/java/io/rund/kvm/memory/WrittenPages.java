package io.rund.kvm.memory;

import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.LongPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The pages that every clone of a template writes until it begins to work: those that two have
 * written. The next clones have them from the start. That saves each of them an exit, and a second
 * one where the guest reads before it writes. Those second ones cost more the more guests there
 * are: when the host takes a page out of this process's tables it asks every VM of the process
 * whether it has it (kvm_mmu_notifier_invalidate_range_start in virt/kvm/kvm_main.c); where there
 * was none it need not ask. Safe for use by several threads.
 */
final class WrittenPages {
  private static final Logger log = LoggerFactory.getLogger(WrittenPages.class);

  /** More than any clone needs that begins like the others. */
  private static final int MOST = 2048;

  /** Neighbouring pages, in bytes. */
  private record Range(long offset, long length) {}

  /** What the first clone has written, while there is no second one. Under this object's lock. */
  private BitSet first;

  private volatile boolean known;
  private volatile List<Range> ranges = List.of();

  /**
   * Looks at a clone, unless two have been looked at.
   *
   * @param address where it is mapped
   * @param bytes of its RAM
   * @param counts whether pages of the chunk at an offset are of interest
   */
  void learn(long address, long bytes, LongPredicate counts) {
    if (known) {
      return;
    }
    BitSet pages = new BitSet();
    try (PageMap map = new PageMap()) {
      for (long offset = 0; offset < bytes; offset += RamTemplate.CHUNK) {
        if (counts.test(offset)) {
          long length = Math.min(RamTemplate.CHUNK, bytes - offset);
          mark(map.entries(address + offset, length), offset, pages);
        }
      }
    } catch (IOException e) {
      log.warn("{}: clones are not spared what others wrote: {}", PageMap.PATH, e.getMessage());
      known = true;
      return;
    }
    add(pages);
  }

  private static void mark(LongBuffer entries, long offset, BitSet pages) {
    int first = Math.toIntExact(offset / GuestMemory.PAGE_SIZE);
    int count = entries.remaining();
    for (int page = first; entries.hasRemaining(); page++) {
      if (PageMap.isOwn(entries.get())) {
        pages.set(page);
      }
    }
    // A chunk that is all there is a huge page: the template's, of which Linux before 6.11 does not
    // say that it is a file's, or one that the guest got when it needed one.
    if (pages.get(first, first + count).cardinality() == count) {
      pages.clear(first, first + count);
    }
  }

  private synchronized void add(BitSet pages) {
    if (known) {
      return;
    }
    if (first == null) {
      first = pages;
      return;
    }
    pages.and(first);
    first = null;
    ranges = ranges(pages);
    known = true;
    log.debug("clones write {} pages in {} places", pages.cardinality(), ranges.size());
  }

  private static List<Range> ranges(BitSet pages) {
    List<Range> ranges = new ArrayList<>();
    int left = MOST;
    for (int from = pages.nextSetBit(0); from >= 0 && left > 0; ) {
      int end = Math.min(pages.nextClearBit(from), from + left);
      left -= end - from;
      ranges.add(
          new Range(
              (long) from * GuestMemory.PAGE_SIZE, (long) (end - from) * GuestMemory.PAGE_SIZE));
      from = pages.nextSetBit(end);
    }
    return ranges;
  }

  /** Gives a clone its pages, as far as the host does it: Linux has that since 5.14. */
  void populate(long address) {
    for (Range range : ranges) {
      if (Libc.Try.madvise(address + range.offset, range.length, Linux.MADV_POPULATE_WRITE) < 0) {
        return; // Each comes when it is wanted.
      }
    }
  }
}
