package io.rund.kvm.virtio.block;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The platform threads that wait for the disks of one VM, and for no other's: however many of its
 * disks hang, no sandbox but its own is without threads. A device takes {@link #PER_DEVICE} of them
 * at most. Threads that have had nothing to do for a while end; an idle pool has none.
 */
public final class IoPool implements AutoCloseable {
  /** Requests of one device that are worked on at once. */
  static final int PER_DEVICE = 4;

  /** Requests of one VM that are worked on at once. */
  static final int THREADS = 2 * PER_DEVICE;

  private static final long IDLE_SECONDS = 10;
  private static final long STACK_BYTES = 256 * 1024;

  private final ThreadPoolExecutor executor;

  /** A pool whose threads are named after {@code vm}. */
  public IoPool(String vm) {
    executor =
        new ThreadPoolExecutor(
            THREADS,
            THREADS,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            work -> thread("disk-" + vm, work));
    executor.allowCoreThreadTimeOut(true);
  }

  private static Thread thread(String name, Runnable work) {
    Thread thread = new Thread(null, work, name, STACK_BYTES);
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
