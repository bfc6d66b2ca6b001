package io.rund.kvm.virtio.fs;

import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The platform threads that wait for host file systems, shared by all VMs of the engine but by
 * nothing else, for they carry a guest's credentials. There is no bound for all together: a device
 * takes {@link #PER_DEVICE} at most, so threads that hang in one share are never missing for
 * another, and those that have had nothing to do for a while end.
 */
public final class FsThreads implements Executor, AutoCloseable {
  /** Requests of one device that are worked on at once, beside one that forgets. */
  static final int PER_DEVICE = 8;

  private static final long IDLE_SECONDS = 10;
  private static final long STACK_BYTES = 256 * 1024;

  private final AtomicInteger number = new AtomicInteger();
  private final ThreadPoolExecutor executor =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          IDLE_SECONDS,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          this::thread);

  private Thread thread(Runnable work) {
    Thread thread = new Thread(null, work, "rund-fs-" + number.incrementAndGet(), STACK_BYTES);
    thread.setDaemon(true);
    return thread;
  }

  @Override
  public void execute(Runnable work) {
    executor.execute(work);
  }

  /** Ends the threads when what was given to them is done. Devices must be closed before. */
  @Override
  public void close() {
    executor.shutdown();
  }
}
