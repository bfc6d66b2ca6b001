package io.rund.kvm.fs;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.ToLongFunction;

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
    int index = (int) idOf.applyAsLong(item);
    if (freeCount > 0) {
      freeCount--;
    } else {
      end++;
      if (end > uses.length) {
        uses = Arrays.copyOf(uses, 2 * uses.length);
      }
    }
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
    if (freeCount == free.length) {
      free = Arrays.copyOf(free, 2 * free.length);
    }
    free[freeCount++] = index;
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
