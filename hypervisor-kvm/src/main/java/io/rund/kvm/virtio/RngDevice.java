package io.rund.kvm.virtio;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** An entropy device (virtio 1.2, 5.4): the host kernel's random bytes, written to guest RAM. */
public final class RngDevice implements VirtioDevice {
  private static final int TYPE = 4;
  private static final int QUEUE_SIZE = 8;

  /**
   * Bytes given for one request, at most. A device may give fewer than there is room for (5.4.6.1),
   * and this many seed a guest's generator many times over.
   */
  private static final int MAX_BYTES = 4096;

  private final GuestMemory memory;
  private Virtqueue queue;

  public RngDevice(GuestMemory memory) {
    this.memory = memory;
  }

  @Override
  public int type() {
    return TYPE;
  }

  @Override
  public long features() {
    return 0;
  }

  @Override
  public int queues() {
    return 1;
  }

  @Override
  public int maxQueueSize() {
    return QUEUE_SIZE;
  }

  @Override
  public MemorySegment config() {
    return MemorySegment.NULL;
  }

  @Override
  public void activate(long features, List<Virtqueue> queues) {
    queue = queues.getFirst();
  }

  @Override
  public boolean kicked(int index) {
    for (int budget = QUEUE_SIZE; budget > 0; budget--) {
      DescriptorChain chain = queue.pop();
      if (chain == null) {
        queue.flush();
        if (!queue.enableKicks()) {
          return false;
        }
        continue;
      }
      queue.push(chain.head(), fill(chain));
    }
    queue.flush();
    return true;
  }

  private long fill(DescriptorChain chain) {
    if (chain.writableBytes() == 0) {
      queue.fault("request for random bytes with no room for any");
      return 0;
    }
    long filled = 0;
    for (int i = chain.readable(); i < chain.count() && filled < MAX_BYTES; i++) {
      long length = Math.min(chain.length(i), MAX_BYTES - filled);
      long n = random(memory.hostAddress(chain.address(i), length), length);
      filled += n;
      if (n < length) {
        break;
      }
    }
    return filled;
  }

  /** Bytes written: all of them up to 256 (getrandom(2)), or those before a signal came. */
  private static long random(long address, long length) {
    try {
      return Libc.syscall(Linux.SYS_GETRANDOM, address, length, 0, 0, 0);
    } catch (LastErrorException e) {
      return 0;
    }
  }

  @Override
  public void reset(Runnable done) {
    done.run();
  }

  @Override
  public void close() {}
}
