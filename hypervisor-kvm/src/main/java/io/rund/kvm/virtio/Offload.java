package io.rund.kvm.virtio;

import io.rund.core.linux.EventLoop;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way of a device's requests from the event loop to threads that may block and back: a ring and
 * a stack without locks, and no allocation per request. What is under way is bounded by whoever
 * submits; a virtqueue's size does that by itself.
 */
public final class Offload {
  private static final Logger log = LoggerFactory.getLogger(Offload.class);

  /** A request: {@link #perform} on some thread, then {@link #finished} on the loop. Reused. */
  public abstract static class Work {
    private Work next;

    /** What may block. On a thread of the executor; must not throw. */
    protected abstract void perform();

    /** On the loop, after {@link #perform}; the object may be submitted again from now on. */
    protected abstract void finished();
  }

  private final EventLoop loop;
  private final Executor threads;
  private final int maxWorkers;
  private final int turn;
  private final Runnable afterBatch;
  private final Runnable worker = this::work;
  private final Runnable answer = this::answer;

  // From the loop to the workers.
  private final Work[] ring;
  private final AtomicInteger submitted = new AtomicInteger();
  private final AtomicInteger claimed = new AtomicInteger();
  private final AtomicInteger workers = new AtomicInteger();

  /** From the workers to the loop: a stack that is always taken whole. */
  private final AtomicReference<Work> finished = new AtomicReference<>();

  private volatile boolean failureLogged;

  // On the loop.
  private final List<Runnable> awaitingIdle = new ArrayList<>();
  private int underWay;

  /**
   * @param capacity the most requests that are ever under way at once: a power of two
   * @param maxWorkers the most threads of {@code threads} that are in use at once
   * @param turn requests that a worker takes before it lets {@code threads} give its thread to
   *     others who wait for one
   * @param afterBatch runs on the loop after the last {@link Work#finished} of several
   */
  public Offload(
      EventLoop loop,
      Executor threads,
      int capacity,
      int maxWorkers,
      int turn,
      Runnable afterBatch) {
    this.loop = loop;
    this.threads = threads;
    this.maxWorkers = maxWorkers;
    this.turn = turn;
    this.afterBatch = afterBatch;
    this.ring = new Work[capacity];
  }

  /** Has {@code work} done. On the loop. */
  public void submit(Work work) {
    underWay++;
    int slot = submitted.get();
    ring[slot & (ring.length - 1)] = work;
    submitted.set(slot + 1);
    if (addWorker()) {
      threads.execute(worker);
    }
  }

  /** Number of requests that are submitted and not finished. On the loop. */
  public int underWay() {
    return underWay;
  }

  /** Runs {@code done} on the loop as soon as nothing is under way. On the loop. */
  public void whenIdle(Runnable done) {
    if (underWay == 0) {
      done.run();
    } else {
      awaitingIdle.add(done);
    }
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
      Work work = claim();
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
    threads.execute(worker);
  }

  private void perform(Work work) {
    try {
      work.perform();
    } catch (Throwable t) {
      // Whatever it was: a request that never finishes would hold up the device's reset for ever.
      if (!failureLogged) {
        failureLogged = true;
        log.error("{} failed; later failures are not logged", work.getClass(), t);
      }
    }
  }

  private Work claim() {
    while (true) {
      int slot = claimed.get();
      if (slot == submitted.get()) {
        return null;
      }
      Work work = ring[slot & (ring.length - 1)];
      if (claimed.compareAndSet(slot, slot + 1)) {
        return work;
      }
    }
  }

  private void finish(Work work) {
    Work top;
    do {
      top = finished.get();
      work.next = top;
    } while (!finished.compareAndSet(top, work));
    if (top == null) {
      loop.execute(answer);
    }
  }

  // The loop again.

  private void answer() {
    Work work = finished.getAndSet(null);
    while (work != null) {
      Work following = work.next;
      work.next = null;
      underWay--;
      work.finished();
      work = following;
    }
    afterBatch.run();
    if (underWay == 0 && !awaitingIdle.isEmpty()) {
      List<Runnable> waiting = List.copyOf(awaitingIdle);
      awaitingIdle.clear();
      waiting.forEach(Runnable::run);
    }
  }
}
