package io.rund.kvm.fs;

import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.util.Arrays;
import java.util.Collection;
import java.util.PrimitiveIterator;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import java.util.function.ToLongFunction;
import java.util.stream.LongStream;

/**
 * Gives out ids and finds what they stand for. The lower half of an id is an index, the upper half
 * how often that index has been used, so that an id which is no longer valid finds nothing. Ids are
 * positive; 0 and 1 are never given out: they mean "none" and the root folder in FUSE.
 *
 * <p>{@link #get} may be called by any thread at any time, and takes no lock; everything else under
 * one lock of the owner.
 */
final class SlotTable<T> {
  private static final int CHUNK_BITS = 10;
  private static final int CHUNK = 1 << CHUNK_BITS;
  private static final int FIRST = 2;

  /**
   * What ids a table has given out.
   *
   * @param end of the places that have been used
   * @param generation no place has been used more often than this
   */
  record Ids(int end, int generation) {
    static void write(Ids ids, SnapshotWriter out) {
      out.int32(ids.end);
      out.int32(ids.generation);
    }

    static Ids read(SnapshotReader in) {
      return new Ids(
          in.int32("the number of ids", FIRST, Integer.MAX_VALUE),
          in.int32("the generation of ids", 0, Integer.MAX_VALUE));
    }

    /** The most that the table has held at once. */
    int places() {
      return end - FIRST;
    }

    /**
     * That a table can hold items of these ids, in the order of {@link #each}.
     *
     * @throws io.rund.core.error.RundException FAILED_PRECONDITION if not
     */
    void check(LongStream ids) {
      int before = FIRST - 1;
      for (PrimitiveIterator.OfLong each = ids.iterator(); each.hasNext(); ) {
        long id = each.nextLong();
        int uses = (int) (id >>> 32);
        if ((int) id <= before || (int) id >= end || uses < 0 || uses > generation) {
          throw SnapshotReader.damaged("there cannot be an id of 0x%x here".formatted(id));
        }
        before = (int) id;
      }
    }
  }

  private final ToLongFunction<T> idOf;
  private final AtomicReferenceArray<AtomicReferenceArray<T>> chunks;
  private int[] uses = new int[CHUNK];
  private int[] free = new int[CHUNK];
  private int freeCount;
  private int end = FIRST;

  /** {@code capacity} is the most that are in the table at once. */
  SlotTable(int capacity, ToLongFunction<T> idOf) {
    this.idOf = idOf;
    chunks = new AtomicReferenceArray<>(((capacity + FIRST) >>> CHUNK_BITS) + 1);
  }

  /** What has this id, or null. The id may be any number. */
  T get(long id) {
    int index = (int) id;
    int chunkIndex = index >>> CHUNK_BITS;
    if (chunkIndex >= chunks.length()) {
      return null;
    }
    AtomicReferenceArray<T> chunk = chunks.get(chunkIndex);
    T item = chunk == null ? null : chunk.get(index & (CHUNK - 1));
    return item != null && idOf.applyAsLong(item) == id ? item : null;
  }

  /** The id that the next {@link #put} must use. */
  long nextId() {
    int index = freeCount > 0 ? free[freeCount - 1] : end;
    return index | (long) (index < uses.length ? uses[index] : 0) << 32;
  }

  /** Adds what has been made with {@link #nextId}. */
  void put(T item) {
    if (freeCount > 0) {
      freeCount--;
    } else {
      end++;
      if (end > uses.length) {
        uses = Arrays.copyOf(uses, 2 * uses.length);
      }
    }
    set((int) idOf.applyAsLong(item), item);
  }

  private void set(int index, T item) {
    AtomicReferenceArray<T> chunk = chunks.get(index >>> CHUNK_BITS);
    if (chunk == null) {
      chunk = new AtomicReferenceArray<>(CHUNK);
      chunks.set(index >>> CHUNK_BITS, chunk);
    }
    chunk.set(index & (CHUNK - 1), item);
  }

  /** Takes out what is there. */
  void remove(T item) {
    int index = (int) idOf.applyAsLong(item);
    chunks.get(index >>> CHUNK_BITS).set(index & (CHUNK - 1), null);
    uses[index] = (uses[index] + 1) & Integer.MAX_VALUE;
    free(index);
  }

  private void free(int index) {
    if (freeCount == free.length) {
      free = Arrays.copyOf(free, 2 * free.length);
    }
    free[freeCount++] = index;
  }

  Ids ids() {
    return new Ids(end, Arrays.stream(uses, FIRST, end).max().orElse(0));
  }

  /**
   * Fills an empty table as one was that gave out {@code ids}, of which those of {@code items} are
   * still valid. There must be room, and {@link Ids#check} must have passed.
   */
  void restore(Ids ids, Collection<? extends T> items) {
    if (end != FIRST) {
      throw new IllegalStateException("the table has been used");
    }
    end = ids.end;
    uses = new int[Math.max(end, CHUNK)];
    // As if every free place had been used as often as the one used most: its next id is new.
    Arrays.fill(uses, FIRST, end, ids.generation);
    for (T item : items) {
      long id = idOf.applyAsLong(item);
      uses[(int) id] = (int) (id >>> 32);
      set((int) id, item);
    }
    for (int place = end - 1; place >= FIRST; place--) {
      if (at(place) == null) {
        free(place);
      }
    }
  }

  /** In the order of places. */
  void each(Consumer<T> visitor) {
    for (int place = FIRST; place < end; place++) {
      T item = at(place);
      if (item != null) {
        visitor.accept(item);
      }
    }
  }

  /** The item at a place from 0 to {@link #places}, or null. */
  T at(int place) {
    AtomicReferenceArray<T> chunk = chunks.get(place >>> CHUNK_BITS);
    return chunk == null ? null : chunk.get(place & (CHUNK - 1));
  }

  int places() {
    return end;
  }
}
