package io.rund.kvm.virtio.vsock;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.virtio.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A ring of bytes that came from the guest and wait for their reader. Not on the heap, which all
 * sandboxes share: streams whose readers stand still, such as all output while containerd does not
 * run, would fill it.
 */
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

  private final MemorySegment segment;
  private final ByteBuffer bytes;

  /** Counters that only grow, modulo 2^32; their difference is what the ring holds. */
  private int written;

  private int read;

  private ReceiveBuffer(long address) {
    segment = MemorySegment.ofAddress(address).reinterpret(CAPACITY);
    bytes = segment.asByteBuffer();
  }

  /**
   * An empty one, to be given back on the same event loop.
   *
   * @throws RundException RESOURCE_EXHAUSTED if the host refuses
   */
  static ReceiveBuffer take() {
    ReceiveBuffer spare = SPARE.get().poll();
    if (spare != null) {
      return spare;
    }
    int access = Linux.PROT_READ | Linux.PROT_WRITE;
    int flags = Linux.MAP_PRIVATE | Linux.MAP_ANONYMOUS;
    try {
      return new ReceiveBuffer(Libc.mmap(0, CAPACITY, access, flags, -1, 0));
    } catch (LastErrorException e) {
      throw new RundException(
          ErrorCode.RESOURCE_EXHAUSTED,
          "no memory for what a guest has sent: " + e.getMessage(),
          e);
    }
  }

  /** What was not read is dropped. */
  void giveBack() {
    read = written;
    Deque<ReceiveBuffer> spare = SPARE.get();
    if (spare.size() < MAX_SPARE) {
      spare.push(this);
    } else {
      Libc.munmap(segment.address(), CAPACITY);
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
    move(at, first, dst);
    move(0, total - first, dst);
    read += total;
    return total;
  }

  private void move(int at, int length, ByteBuffer dst) {
    dst.put(dst.position(), bytes, at, length);
    dst.position(dst.position() + length);
  }
}
