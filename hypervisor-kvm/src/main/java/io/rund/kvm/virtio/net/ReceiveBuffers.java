package io.rund.kvm.virtio.net;

import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Receive buffers of the guest that are taken from their queue and not yet given back, as one list
 * of struct iovec. Nobody knows the length of a packet before it is read, so the next read offers
 * room for the largest one, straight in guest memory; what it did not fill is offered again.
 * Reused; on the loop.
 */
final class ReceiveBuffers {
  private static final int ENTRY = 16;

  /** Offset of num_buffers in struct virtio_net_hdr. */
  private static final int NUM_BUFFERS = 10;

  private final GuestMemory memory;
  private final int maxPieces;
  private final int capacity;
  private final MemorySegment vector;
  private final long[] addresses;
  private final long[] lengths;
  private int first;
  private int end;

  /** Chains, in a ring. */
  private final int[] heads;

  private final int[] pieces;
  private final long[] sizes;
  private int firstChain;
  private int chains;
  private long bytes;

  /** Takes what does not fit into the guest's buffers, so that it can be told from what does. */
  private final MemorySegment overflow = Arena.ofAuto().allocate(1);

  /**
   * @param maxChains the longest queue, a power of two; also the most pieces of one chain
   */
  ReceiveBuffers(GuestMemory memory, int maxChains) {
    this.memory = memory;
    this.maxPieces = maxChains;
    // With the overflow this is no more than readv(2) takes (IOV_MAX, 1024).
    this.capacity = 2 * maxPieces;
    this.vector = Arena.ofAuto().allocate((capacity + 1L) * ENTRY, Long.BYTES);
    this.addresses = new long[capacity];
    this.lengths = new long[capacity];
    this.heads = new int[maxChains];
    this.pieces = new int[maxChains];
    this.sizes = new long[maxChains];
  }

  void clear() {
    first = 0;
    end = 0;
    chains = 0;
    bytes = 0;
  }

  int chains() {
    return chains;
  }

  /** Bytes in all buffers, headers included. */
  long bytes() {
    return bytes;
  }

  /** Whether any chain would still find room. */
  boolean hasRoom() {
    return end - first <= capacity - maxPieces && chains < heads.length;
  }

  /** Adds the writable buffers of a chain. {@link #hasRoom} was true. */
  void add(DescriptorChain chain) {
    int count = chain.count() - chain.readable();
    if (end + count > capacity) {
      compact();
    }
    for (int i = chain.readable(); i < chain.count(); i++) {
      addresses[end] = chain.address(i);
      lengths[end] = chain.length(i);
      set(end++, memory.hostAddress(chain.address(i), chain.length(i)), chain.length(i));
    }
    int slot = (firstChain + chains) & (heads.length - 1);
    heads[slot] = chain.head();
    pieces[slot] = count;
    sizes[slot] = chain.writableBytes();
    chains++;
    bytes += chain.writableBytes();
  }

  private void compact() {
    int count = end - first;
    System.arraycopy(addresses, first, addresses, 0, count);
    System.arraycopy(lengths, first, lengths, 0, count);
    MemorySegment.copy(vector, (long) first * ENTRY, vector, 0, (long) count * ENTRY);
    first = 0;
    end = count;
  }

  private void set(int entry, long address, long length) {
    vector.set(ValueLayout.JAVA_LONG, (long) entry * ENTRY, address);
    vector.set(ValueLayout.JAVA_LONG, (long) entry * ENTRY + 8, length);
  }

  /** Address of the first struct iovec. */
  long vector() {
    return vector.address() + (long) first * ENTRY;
  }

  /** Number of struct iovec that have room for {@code wanted} bytes and, if need be, one more. */
  int entries(long wanted) {
    long room = 0;
    for (int i = first; i < end; i++) {
      room += lengths[i];
      if (room > wanted) {
        return i + 1 - first;
      }
    }
    set(end, overflow.address(), 1);
    return end + 1 - first;
  }

  /**
   * Gives back the buffers that {@code length} bytes were read into, to {@code queue}.
   *
   * @param mergeable whether they may be more than one
   * @return whether they fitted; if not, nothing is given back
   */
  boolean give(Virtqueue queue, long length, boolean mergeable) {
    int count = 0;
    long room = 0;
    while (room < length && count < (mergeable ? chains : 1)) {
      room += sizes[(firstChain + count) & (heads.length - 1)];
      count++;
    }
    if (room < length) {
      return false;
    }
    putCount(count);
    long left = length;
    for (int i = 0; i < count; i++) {
      long size = sizes[firstChain];
      queue.push(heads[firstChain], Math.min(left, size));
      left -= size;
      bytes -= size;
      first += pieces[firstChain];
      firstChain = (firstChain + 1) & (heads.length - 1);
      chains--;
    }
    return true;
  }

  /** Writes num_buffers into the header, which may lie in several pieces (2.7.4.1). */
  private void putCount(int count) {
    long skip = NUM_BUFFERS;
    int written = 0;
    for (int i = first; written < Short.BYTES; i++) {
      for (; written < Short.BYTES && skip < lengths[i]; skip++) {
        memory.putByte(addresses[i] + skip, (byte) (count >>> (8 * written)));
        written++;
      }
      skip -= lengths[i];
    }
  }
}
