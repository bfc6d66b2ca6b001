package io.rund.kvm.virtio;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;

/**
 * One request of the driver: buffers the device may read, then buffers it may write (virtio 1.2,
 * 2.7.4 to 2.7.7). {@link #load} copies the descriptors out of guest memory and checks them once;
 * whatever the guest writes to its tables afterwards has no effect. The object is reused for every
 * request of a queue.
 */
public final class DescriptorChain {
  private static final int DESCRIPTOR_SIZE = 16;
  private static final int NEXT = 1;
  private static final int WRITE = 2;
  private static final int INDIRECT = 4;

  /** The used ring counts in 32 bits; a driver must not offer more (2.7.5). */
  private static final long MAX_BYTES = 0xffff_ffffL;

  private final GuestMemory memory;
  private final boolean indirectAllowed;
  private final long[] addresses;
  private final long[] lengths;
  private int head;
  private int readable;
  private int count;
  private long readableBytes;
  private long writableBytes;

  DescriptorChain(GuestMemory memory, int capacity, boolean indirectAllowed) {
    this.memory = memory;
    this.indirectAllowed = indirectAllowed;
    this.addresses = new long[capacity];
    this.lengths = new long[capacity];
  }

  /**
   * Reads and checks the chain that starts at {@code head} of a table.
   *
   * @throws GuestFault saying which rule is broken; the chain is then unusable
   */
  void load(long table, int entries, int head) {
    this.head = head;
    readable = 0;
    count = 0;
    readableBytes = 0;
    writableBytes = 0;
    walk(table, entries, head, false);
  }

  private void walk(long table, int entries, int first, boolean indirect) {
    int index = first;
    for (int steps = 0; ; steps++) {
      if (index >= entries) {
        throw new GuestFault("descriptor " + index + " in a table of " + entries);
      }
      if (steps == entries) {
        throw new GuestFault("descriptor chain from " + first + " loops");
      }
      long descriptor = table + (long) index * DESCRIPTOR_SIZE;
      long address = memory.getLong(descriptor);
      long length = Integer.toUnsignedLong(memory.getInt(descriptor + 8));
      int flags = memory.getShort(descriptor + 12);
      if ((flags & INDIRECT) != 0) {
        if (indirect || (flags & NEXT) != 0 || !indirectAllowed) {
          throw new GuestFault("indirect descriptor where none may be");
        }
        if (length == 0 || length % DESCRIPTOR_SIZE != 0) {
          throw new GuestFault("indirect descriptor table of " + length + " bytes");
        }
        memory.hostAddress(address, length);
        walk(address, (int) (length / DESCRIPTOR_SIZE), 0, true);
        return;
      }
      add(address, length, (flags & WRITE) != 0);
      if ((flags & NEXT) == 0) {
        return;
      }
      index = Short.toUnsignedInt(memory.getShort(descriptor + 14));
    }
  }

  private void add(long address, long length, boolean writable) {
    if (count == addresses.length) {
      throw new GuestFault("descriptor chain longer than " + count);
    }
    if (!writable && count > readable) {
      throw new GuestFault("readable descriptor after a writable one");
    }
    memory.hostAddress(address, length);
    addresses[count] = address;
    lengths[count] = length;
    count++;
    if (writable) {
      writableBytes += length;
    } else {
      readable = count;
      readableBytes += length;
    }
    if (readableBytes + writableBytes > MAX_BYTES) {
      throw new GuestFault("descriptor chain of more than 4 GiB");
    }
  }

  /** What the used ring calls the chain: the index of its first descriptor. */
  public int head() {
    return head;
  }

  /** Number of buffers; those from {@link #readable} on are writable. */
  public int count() {
    return count;
  }

  /** Number of readable buffers, which come first. */
  public int readable() {
    return readable;
  }

  /** Guest-physical address of a buffer; all its bytes are RAM. */
  public long address(int buffer) {
    return addresses[buffer];
  }

  /** Bytes of a buffer. */
  public long length(int buffer) {
    return lengths[buffer];
  }

  public long readableBytes() {
    return readableBytes;
  }

  public long writableBytes() {
    return writableBytes;
  }

  /**
   * Copies {@code length} of the readable bytes, from {@code from} on, to {@code dst}.
   *
   * @throws IndexOutOfBoundsException if the chain or {@code dst} has fewer
   */
  public void read(long from, MemorySegment dst, long dstOffset, long length) {
    checkRange(from, length, readableBytes);
    long skip = from;
    long done = 0;
    for (int i = 0; done < length; i++) {
      if (skip >= lengths[i]) {
        skip -= lengths[i];
        continue;
      }
      long n = Math.min(length - done, lengths[i] - skip);
      memory.copyTo(addresses[i] + skip, dst, dstOffset + done, n);
      done += n;
      skip = 0;
    }
  }

  /**
   * Copies {@code length} bytes of {@code src} to the writable bytes, from {@code from} on.
   *
   * @throws IndexOutOfBoundsException if the chain or {@code src} has fewer
   */
  public void write(long from, MemorySegment src, long srcOffset, long length) {
    checkRange(from, length, writableBytes);
    long skip = from;
    long done = 0;
    for (int i = readable; done < length; i++) {
      if (skip >= lengths[i]) {
        skip -= lengths[i];
        continue;
      }
      long n = Math.min(length - done, lengths[i] - skip);
      memory.copyFrom(src, srcOffset + done, addresses[i] + skip, n);
      done += n;
      skip = 0;
    }
  }

  private static void checkRange(long from, long length, long bytes) {
    if (from < 0 || length < 0 || from > bytes - length) {
      throw new IndexOutOfBoundsException(
          "bytes " + from + " to " + (from + length) + " of " + bytes);
    }
  }
}
