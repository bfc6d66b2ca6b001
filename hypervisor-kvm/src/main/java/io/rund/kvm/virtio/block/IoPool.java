package io.rund.kvm.virtio.block;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The platform threads that wait for disks, shared by all VMs of the engine. A device takes {@link
 * #PER_DEVICE} of them at most, so a disk that hangs holds up its own requests and no other's.
 * Threads that have had nothing to do for a while end.
 */
public final class IoPool implements AutoCloseable {
  /** Requests of one device that are worked on at once. */
  static final int PER_DEVICE = 4;

  private static final long IDLE_SECONDS = 10;
  private static final long STACK_BYTES = 256 * 1024;

  private final AtomicInteger number = new AtomicInteger();
  private final ThreadPoolExecutor executor;

  /** A pool of at most {@code threads}. */
  public IoPool(int threads) {
    executor =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            this::thread);
    executor.allowCoreThreadTimeOut(true);
  }

  private Thread thread(Runnable work) {
    Thread thread = new Thread(null, work, "rund-disk-" + number.incrementAndGet(), STACK_BYTES);
    thread.setDaemon(true);
    return thread;
  }

  void execute(Runnable work) {
    executor.execute(work);
  }

  /** Ends the threads when what was given to them is done. Devices must be closed before. */
  @Override
  public void close() {
    executor.shutdown();
  }
}
