package io.rund.kvm.virtio.fs;

import io.rund.core.linux.EventLoop;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.Offload;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One queue of the device and the threads that serve it, which are its own: what one queue waits
 * for does not hold up the other (virtio 1.2, 5.11.6.4). Belongs to the loop.
 */
final class FsQueue {
  private final GuestMemory memory;
  private final FuseSession session;
  private final Offload<FsRequest> offload;
  private final MemorySegment header = Arena.ofAuto().allocate(Wire.IN_HEADER, Long.BYTES);
  private Virtqueue queue;

  /** A request of this queue. */
  private final class Request extends FsRequest {
    Request() {
      super(memory);
    }

    @Override
    protected void perform() {
      session.serve(this);
      queue.give(head(), written());
    }
  }

  /**
   * @param workers the most threads that work on this queue's requests at once
   */
  FsQueue(GuestMemory memory, EventLoop loop, FsThreads threads, FuseSession session, int workers) {
    this.memory = memory;
    this.session = session;
    this.offload =
        new Offload<>(loop, threads, FsDevice.QUEUE_SIZE, workers, Integer.MAX_VALUE, Request::new);
  }

  void activate(Virtqueue queue) {
    this.queue = queue;
  }

  /** Takes requests; true if there may be more after a full turn. */
  boolean take() {
    for (int budget = queue.size(); budget > 0; budget--) {
      DescriptorChain chain = queue.pop();
      if (chain == null) {
        if (queue.enableKicks()) {
          continue;
        }
        return false;
      }
      FsRequest request = offload.take();
      request.load(chain, header);
      offload.submit(request);
    }
    return true;
  }

  /** Drops what is not begun; runs {@code done} on the loop once no thread works for this queue. */
  void stop(Runnable done) {
    offload.stop(done);
  }
}
