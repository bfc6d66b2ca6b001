package io.rund.kvm.virtio.fs;

import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One queue of the device. Whoever takes a request out of it serves and answers it, and then looks
 * for the next one; while there are more, others are called to help. What one queue waits for does
 * not hold up the other (virtio 1.2, 5.11.6.4).
 */
final class FsQueue {
  private static final Logger log = LoggerFactory.getLogger(FsQueue.class);
  private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1L);

  private final GuestMemory memory;
  private final EventLoop loop;
  private final FsThreads threads;
  private final FuseSession session;
  private final int maxServing;

  // Under this object's lock.
  private final MemorySegment header = Arena.ofAuto().allocate(Wire.IN_HEADER, Long.BYTES);
  private final List<Runnable> awaitingQuiet = new ArrayList<>();
  private Virtqueue queue;
  private Fd kick;
  private FsRequest spare;
  private int serving;

  private volatile boolean failureLogged;

  /**
   * @param maxServing the most threads that work on this queue's requests at once
   */
  FsQueue(
      GuestMemory memory, EventLoop loop, FsThreads threads, FuseSession session, int maxServing) {
    this.memory = memory;
    this.loop = loop;
    this.threads = threads;
    this.session = session;
    this.maxServing = maxServing;
  }

  synchronized void activate(Virtqueue queue) {
    this.queue = queue;
  }

  synchronized VirtioDevice.Watch watch(Fd kick) {
    this.kick = kick;
    return threads.watch(kick, this::serve);
  }

  /**
   * Drops what is not begun, the virtqueue being stopped; runs {@code done} on the loop once no
   * thread works for this queue.
   */
  synchronized void stop(Runnable done) {
    awaitingQuiet.add(done);
    tellIfQuiet();
  }

  /**
   * Whether no request is under way nor will be before the driver makes one: a thread that a kick
   * has woken, and that has not looked yet, finds none.
   */
  synchronized boolean isAtRest() {
    return serving == 0 && (queue == null || queue.isAtRest());
  }

  private void tellIfQuiet() {
    if (serving == 0) {
      awaitingQuiet.forEach(loop::execute);
      awaitingQuiet.clear();
    }
  }

  // Threads of FsThreads.

  /** After a kick: until the queue is empty, or others empty it. */
  private void serve() {
    for (FsRequest request = begin(); request != null; request = next(request)) {
      perform(request);
    }
  }

  private void perform(FsRequest request) {
    try {
      session.serve(request);
      queue().give(request.head(), request.written());
    } catch (Throwable t) {
      // Whatever it was: a thread that is counted for ever would hold up the device's reset.
      if (!failureLogged) {
        failureLogged = true;
        log.error("virtio-fs: a request failed; later failures are not logged", t);
      }
    }
  }

  private synchronized FsRequest begin() {
    if (serving == maxServing) {
      // Each of them looks for the next when it has done with its own.
      return null;
    }
    FsRequest request = spare;
    if (request == null) {
      request = new FsRequest(memory);
    } else {
      spare = request.next;
    }
    serving++;
    return next(request);
  }

  /** The next request in the object of the last one. */
  private synchronized FsRequest next(FsRequest request) {
    if (load(request)) {
      return request;
    }
    request.next = spare;
    spare = request;
    serving--;
    tellIfQuiet();
    return null;
  }

  private synchronized Virtqueue queue() {
    return queue;
  }

  private boolean load(FsRequest request) {
    Virtqueue current = queue;
    synchronized (current) {
      try {
        DescriptorChain chain = current.pop();
        while (chain == null && current.enableKicks()) {
          chain = current.pop();
        }
        if (chain == null) {
          return false;
        }
        request.load(chain, header);
        // Nobody looks again before this request is served.
        if (serving < maxServing && (current.hasNext() || current.enableKicks())) {
          long _ = Libc.Try.write(kick.number(), ONE.address(), Long.BYTES);
        }
        return true;
      } catch (GuestFault e) {
        current.fault(e.getMessage());
      } catch (RuntimeException | OutOfMemoryError e) {
        log.error("virtio-fs: a request cannot be taken", e);
        current.fault("device failed: " + e);
      }
      return false;
    }
  }
}
