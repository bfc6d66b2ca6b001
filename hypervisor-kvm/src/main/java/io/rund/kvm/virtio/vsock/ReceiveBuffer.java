package io.rund.kvm.virtio.vsock;

import io.rund.kvm.virtio.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/** A ring of bytes that came from the guest and wait for their reader. */
final class ReceiveBuffer {
  /** Bytes it holds, a power of two; the guest is told so as buf_alloc. */
  static final int CAPACITY = 128 * 1024;

  private final byte[] bytes = new byte[CAPACITY];
  private final MemorySegment segment = MemorySegment.ofArray(bytes);

  /** Counters that only grow, modulo 2^32; their difference is what the ring holds. */
  private int written;

  private int read;

  int size() {
    return written - read;
  }

  /** Takes {@code length} readable bytes of a chain; the caller knows that there is room. */
  void put(DescriptorChain chain, long from, int length) {
    int at = written & (CAPACITY - 1);
    int first = Math.min(length, CAPACITY - at);
    chain.read(from, segment, at, first);
    chain.read(from + first, segment, 0, length - first);
    written += length;
  }

  /** Moves as many bytes as there are and fit; returns how many. */
  int get(ByteBuffer dst) {
    int total = Math.min(size(), dst.remaining());
    int at = read & (CAPACITY - 1);
    int first = Math.min(total, CAPACITY - at);
    dst.put(bytes, at, first);
    dst.put(bytes, 0, total - first);
    read += total;
    return total;
  }

  void clear() {
    read = written;
  }
}
