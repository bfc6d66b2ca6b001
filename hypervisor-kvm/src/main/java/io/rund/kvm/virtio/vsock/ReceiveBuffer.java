package io.rund.kvm.virtio.vsock;

import io.rund.kvm.virtio.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;

/** A ring of bytes that came from the guest and wait for their reader. */
final class ReceiveBuffer {
  /** Bytes it holds, a power of two; the guest is told so as buf_alloc. */
  static final int CAPACITY = 128 * 1024;

  /**
   * Kept for the next stream that needs one, by all sandboxes of an event loop together: so steady
   * traffic allocates none, and a sandbox that is idle has none.
   */
  private static final ThreadLocal<Deque<ReceiveBuffer>> SPARE =
      ThreadLocal.withInitial(ArrayDeque::new);

  private static final int MAX_SPARE = 8;

  private final byte[] bytes = new byte[CAPACITY];
  private final MemorySegment segment = MemorySegment.ofArray(bytes);

  /** Counters that only grow, modulo 2^32; their difference is what the ring holds. */
  private int written;

  private int read;

  private ReceiveBuffer() {}

  /** An empty one, to be given back on the same event loop. */
  static ReceiveBuffer take() {
    ReceiveBuffer spare = SPARE.get().poll();
    return spare == null ? new ReceiveBuffer() : spare;
  }

  /** What was not read is dropped. */
  void giveBack() {
    read = written;
    Deque<ReceiveBuffer> spare = SPARE.get();
    if (spare.size() < MAX_SPARE) {
      spare.push(this);
    }
  }

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
}
