package io.rund.kvm.virtio.fs;

import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.WorkerCredentials;
import io.rund.kvm.virtio.VirtioDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The platform threads that serve the file systems of all VMs of the engine, and nothing else, for
 * they carry a guest's credentials. They wait for kicks in one epoll(7) instance, edge-triggered: a
 * kick wakes one of them, which does itself what the guest asks for, so that a request costs one
 * wake-up.
 *
 * <p>One always waits: whoever leaves no other behind starts one first. So threads that hang in one
 * share are never missing for another; a device takes {@link #PER_DEVICE} at most. Those that have
 * had nothing to do for a while end, but for the last.
 */
public final class FsThreads implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(FsThreads.class);

  /** Requests of one device that are worked on at once, beside one that forgets. */
  static final int PER_DEVICE = 8;

  private static final int IDLE_MILLIS = 10_000;
  private static final long STACK_BYTES = 256 * 1024;

  /** How long to wait for a thread when the host gives none. */
  private static final long RETRY_MILLIS = 100;

  /** struct epoll_event, packed: u32 events, u64 data (include/uapi/linux/eventpoll.h). */
  private static final int EVENT_SIZE = 12;

  private static final int DATA = 4;

  /** The data word of {@link #closing}; all others are places in {@link #handlers}. */
  private static final long CLOSING = -1;

  private final Fd epoll = new Fd(Libc.epoll_create1(Linux.EPOLL_CLOEXEC));
  private final Fd closing = Fd.eventFd();

  /** Threads that wait for a kick, or have just been woken by one. */
  private final AtomicInteger waiting = new AtomicInteger();

  /** Whoever uses the descriptors: the owner of this object, and each thread. */
  private final AtomicInteger users = new AtomicInteger(1);

  private final AtomicInteger number = new AtomicInteger();
  private final AtomicBoolean failureLogged = new AtomicBoolean();

  /** What to do for a kick. Changed under this object's lock. */
  private volatile AtomicReferenceArray<Runnable> handlers = new AtomicReferenceArray<>(16);

  // Under this object's lock.
  private final Deque<Integer> freePlaces = new ArrayDeque<>();
  private int places;

  /** Without a thread so far; the first comes with the first watch. */
  public FsThreads() {
    WorkerCredentials.prepareEngine();
    control(Linux.EPOLL_CTL_ADD, closing, Linux.EPOLLIN, CLOSING);
  }

  /**
   * Has {@code serve} called by any of these threads for each kick, or once for several: also for
   * one that came before, and possibly once more just after the watch was closed. It may block, and
   * must not throw.
   */
  synchronized VirtioDevice.Watch watch(Fd kick, Runnable serve) {
    int place = freePlaces.isEmpty() ? places++ : freePlaces.pop();
    if (place == handlers.length()) {
      grow();
    }
    handlers.set(place, serve);
    if (users.get() == 1) {
      start();
    }
    control(Linux.EPOLL_CTL_ADD, kick, Linux.EPOLLIN | Linux.EPOLLET, place);
    return () -> forget(place, kick);
  }

  private void grow() {
    AtomicReferenceArray<Runnable> larger = new AtomicReferenceArray<>(2 * handlers.length());
    for (int i = 0; i < handlers.length(); i++) {
      larger.set(i, handlers.get(i));
    }
    handlers = larger;
  }

  private synchronized void forget(int place, Fd kick) {
    control(Linux.EPOLL_CTL_DEL, kick, 0, 0);
    handlers.set(place, null);
    freePlaces.push(place);
  }

  private void control(int operation, Fd fd, int events, long data) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EVENT_SIZE, Long.BYTES);
      event.set(ValueLayout.JAVA_INT, 0, events);
      event.set(ValueLayout.JAVA_LONG_UNALIGNED, DATA, data);
      Libc.epoll_ctl(epoll.number(), operation, fd.number(), event.address());
    }
  }

  /** Without a thread now, one may be had later: the host's limit is for all its processes. */
  private void start() {
    int _ = users.getAndIncrement();
    Thread thread = new Thread(null, this::run, "rund-fs-" + number.incrementAndGet(), STACK_BYTES);
    thread.setDaemon(true);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      if (!failureLogged.getAndSet(true)) {
        log.error("cannot start a thread for shared folders; tried again until it can", e);
      }
      CompletableFuture.delayedExecutor(RETRY_MILLIS, TimeUnit.MILLISECONDS)
          .execute(this::startAgain);
    }
  }

  private void startAgain() {
    if (waiting.get() == 0) {
      start();
    }
    release();
  }

  // Threads.

  private void run() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EVENT_SIZE, Long.BYTES);
      while (await(event)) {
        long data = event.get(ValueLayout.JAVA_LONG_UNALIGNED, DATA);
        if (waiting.decrementAndGet() == 0 && data != CLOSING) {
          start();
        }
        if (data == CLOSING) {
          return;
        }
        serve((int) data);
      }
    } finally {
      release();
    }
  }

  /** Waits for an event; false if this thread is one too many. */
  private boolean await(MemorySegment event) {
    int count = waiting.incrementAndGet();
    while (true) {
      int timeout = count == 1 ? -1 : IDLE_MILLIS;
      int ready = Libc.Try.epoll_wait(epoll.number(), event.address(), 1, timeout);
      if (ready > 0) {
        return true;
      }
      count = waiting.get();
      if (ready == 0 && count > 1 && waiting.compareAndSet(count, count - 1)) {
        return false;
      }
    }
  }

  private void serve(int place) {
    Runnable handler = handlers.get(place);
    if (handler != null) {
      try {
        handler.run();
      } catch (Throwable t) {
        log.error("a thread for shared folders failed", t);
      }
    }
  }

  private void release() {
    if (users.decrementAndGet() == 0) {
      epoll.close();
      closing.close();
    }
  }

  /** Ends the threads when what they are at is done. Devices must be closed before. */
  @Override
  public void close() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1L);
      long _ = Libc.Try.write(closing.number(), one.address(), Long.BYTES);
    }
    release();
  }
}
