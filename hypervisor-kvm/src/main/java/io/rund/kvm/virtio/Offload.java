package io.rund.kvm.virtio;

import io.rund.core.linux.EventLoop;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way of a device's requests from the event loop to threads that may block: a ring without
 * locks, and no allocation per request. A thread that has done a request also answers it ({@link
 * Virtqueue#give}), so that no answer waits for the loop; the loop collects the objects when it
 * needs one. What is under way is bounded by whoever submits; a virtqueue's size does that by
 * itself.
 *
 * @param <W> the device's requests
 */
public final class Offload<W extends Offload.Work<W>> {
  private static final Logger log = LoggerFactory.getLogger(Offload.class);

  /** A request, reused for others later. */
  public abstract static class Work<W> {
    private W next;

    /**
     * Does what is asked for, which may block, and answers it. On a thread of the executor; must
     * not throw.
     */
    protected abstract void perform();
  }

  /** How long to wait for a thread when the host gives none. */
  private static final long RETRY_MILLIS = 100;

  private final EventLoop loop;
  private final Executor threads;
  private final int maxWorkers;
  private final int turn;
  private final Supplier<W> factory;
  private final Runnable worker = this::work;
  private final Runnable settle = this::settle;

  // From the loop to the workers.
  private final List<W> ring;
  private final AtomicInteger submitted = new AtomicInteger();
  private final AtomicInteger claimed = new AtomicInteger();
  private final AtomicInteger workers = new AtomicInteger();

  /** What the workers have done with: a stack that the loop always takes whole. */
  private final AtomicReference<W> finished = new AtomicReference<>();

  /** Whether the loop waits for the end of what is under way. */
  private volatile boolean idleAwaited;

  private volatile boolean failureLogged;

  // On the loop.
  private final List<Runnable> awaitingIdle = new ArrayList<>();
  private W idle;
  private int underWay;

  /**
   * @param capacity the most requests that are ever under way at once: a power of two
   * @param maxWorkers the most threads of {@code threads} that are in use at once
   * @param turn requests that a worker takes before it lets {@code threads} give its thread to
   *     others who wait for one
   * @param factory makes a request object, on the loop
   */
  public Offload(
      EventLoop loop,
      Executor threads,
      int capacity,
      int maxWorkers,
      int turn,
      Supplier<W> factory) {
    this.loop = loop;
    this.threads = threads;
    this.maxWorkers = maxWorkers;
    this.turn = turn;
    this.factory = factory;
    this.ring = new ArrayList<>(Collections.nCopies(capacity, null));
  }

  /** A request object that is not in use, to be submitted or given back. On the loop. */
  public W take() {
    if (idle == null) {
      reclaim();
    }
    W work = idle;
    if (work == null) {
      return factory.get();
    }
    idle = next(work);
    return work;
  }

  /** Takes back what {@link #take} gave and nobody needs. On the loop. */
  public void giveBack(W work) {
    link(work, idle);
    idle = work;
  }

  /** Has {@code work} done. On the loop. */
  public void submit(W work) {
    underWay++;
    int slot = submitted.get();
    ring.set(slot & (ring.size() - 1), work);
    submitted.set(slot + 1);
    startWorker();
  }

  /** Without a thread now, one may be had later: the host's limit is for all its processes. */
  private void startWorker() {
    if (submitted.get() != claimed.get() && addWorker()) {
      try {
        threads.execute(worker);
      } catch (OutOfMemoryError e) {
        workers.decrementAndGet();
        logFailure("cannot start a thread for requests; tried again until it can", e);
        CompletableFuture.delayedExecutor(RETRY_MILLIS, TimeUnit.MILLISECONDS, loop)
            .execute(this::startWorker);
      }
    }
  }

  /** Number of requests that are submitted and not finished. On the loop. */
  public int underWay() {
    reclaim();
    return underWay;
  }

  /**
   * Drops what no thread has begun, and runs {@code done} on the loop as soon as no thread works on
   * the rest: so a reset waits for a few requests, however many a guest has queued. On the loop.
   */
  public void stop(Runnable done) {
    awaitingIdle.add(done);
    idleAwaited = true;
    for (W work = claim(); work != null; work = claim()) {
      underWay--;
      giveBack(work);
    }
    settle();
  }

  private void settle() {
    reclaim();
    if (underWay == 0) {
      idleAwaited = false;
      List<Runnable> waiting = List.copyOf(awaitingIdle);
      awaitingIdle.clear();
      waiting.forEach(Runnable::run);
    }
  }

  private void reclaim() {
    W work = finished.getAndSet(null);
    while (work != null) {
      W following = next(work);
      underWay--;
      giveBack(work);
      work = following;
    }
  }

  private static <W extends Work<W>> W next(W work) {
    Work<W> link = work;
    return link.next;
  }

  private static <W extends Work<W>> void link(W work, W next) {
    Work<W> link = work;
    link.next = next;
  }

  private boolean addWorker() {
    int count = workers.get();
    while (count < maxWorkers) {
      if (workers.compareAndSet(count, count + 1)) {
        return true;
      }
      count = workers.get();
    }
    return false;
  }

  // Threads of the executor.

  private void work() {
    for (int left = turn; left > 0; ) {
      W work = claim();
      if (work != null) {
        perform(work);
        finish(work);
        left--;
        continue;
      }
      workers.decrementAndGet();
      // The loop may have submitted one and counted on us in between.
      if (submitted.get() == claimed.get() || !addWorker()) {
        return;
      }
    }
    yieldThread();
  }

  private void yieldThread() {
    try {
      threads.execute(worker);
    } catch (OutOfMemoryError e) {
      workers.decrementAndGet();
      loop.execute(this::startWorker);
    }
  }

  private void perform(W work) {
    try {
      work.perform();
    } catch (Throwable t) {
      // Whatever it was: a request that never finishes would hold up the device's reset for ever.
      logFailure(work.getClass() + " failed", t);
    }
  }

  private void logFailure(String what, Throwable cause) {
    if (!failureLogged) {
      failureLogged = true;
      log.error("{}; later failures are not logged", what, cause);
    }
  }

  private W claim() {
    while (true) {
      int slot = claimed.get();
      if (slot == submitted.get()) {
        return null;
      }
      W work = ring.get(slot & (ring.size() - 1));
      if (claimed.compareAndSet(slot, slot + 1)) {
        return work;
      }
    }
  }

  private void finish(W work) {
    W top;
    do {
      top = finished.get();
      link(work, top);
    } while (!finished.compareAndSet(top, work));
    if (idleAwaited) {
      loop.execute(settle);
    }
  }
}
