package io.rund.core.linux;

import com.sun.jna.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One epoll(7) instance and the platform thread that serves it. A sandbox's devices and streams all
 * live on one loop, so their state needs no lock: {@link #register}, {@link Registration} and the
 * handlers belong to the loop's thread; {@link #execute} may be called from anywhere.
 *
 * <p>A handler that throws is logged and told by {@link Handler#failed}; the loop and its other
 * handlers go on.
 */
public final class EventLoop implements Executor, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(EventLoop.class);

  /**
   * struct epoll_event is packed on x86-64: u32 events, u64 data (include/uapi/linux/eventpoll.h).
   */
  private static final int EVENT_SIZE = 12;

  private static final int MAX_EVENTS = 64;

  /** Tasks between two looks at the descriptors: a task that adds itself again holds off nobody. */
  private static final int TASK_BUDGET = 256;

  private static final ValueLayout.OfLong DATA = ValueLayout.JAVA_LONG_UNALIGNED;

  /** What to do when a descriptor is ready. Called on the loop's thread. */
  public interface Handler {
    /** {@code events} is a mask of EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. */
    void ready(int events);

    /** {@link #ready} threw; the registration is already gone. */
    default void failed(Throwable cause) {}
  }

  private final Arena arena = Arena.ofShared();
  private final MemorySegment events = arena.allocate((long) EVENT_SIZE * MAX_EVENTS, 8);
  private final MemorySegment scratch = arena.allocate(16, 8);
  private final Fd epoll = new Fd(Libc.epoll_create1(Linux.EPOLL_CLOEXEC));
  private final Fd wakeup = Fd.eventFd();
  private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean wakeupPending = new AtomicBoolean();
  private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1L);

  /**
   * Registrations by slot; the epoll data word is slot | generation << 32, so a stale event finds
   * nobody.
   */
  private final List<Registration> slots = new ArrayList<>();

  private final List<Integer> freeSlots = new ArrayList<>();
  private int generation;
  private volatile boolean closed;
  private final Thread thread;

  public EventLoop(String name) {
    control(Linux.EPOLL_CTL_ADD, wakeup.number(), Linux.EPOLLIN, -1L);
    thread = new Thread(null, this::run, name, 512 * 1024);
    thread.setDaemon(true);
    thread.start();
  }

  /** Whether the caller is the loop's thread. */
  public boolean inLoop() {
    return Thread.currentThread() == thread;
  }

  @Override
  public void execute(Runnable task) {
    tasks.add(task);
    if (!inLoop() && wakeupPending.compareAndSet(false, true)) {
      Libc.Try.write(wakeup.number(), one.address(), 8);
    }
  }

  /**
   * Watches {@code fd} (level-triggered) until the registration is closed. The descriptor stays its
   * owner's.
   */
  public Registration register(int fd, int interest, Handler handler) {
    assertInLoop();
    int slot = freeSlots.isEmpty() ? slots.size() : freeSlots.getLast();
    Registration registration = new Registration(fd, slot, generation++ & 0x7fffffff, handler);
    control(Linux.EPOLL_CTL_ADD, fd, interest, registration.key());
    if (freeSlots.isEmpty()) {
      slots.add(registration);
    } else {
      freeSlots.removeLast();
      slots.set(slot, registration);
    }
    return registration;
  }

  /** One watched descriptor. */
  public final class Registration implements AutoCloseable {
    private final int fd;
    private final int slot;
    private final int generation;
    private final Handler handler;
    private boolean open = true;

    private Registration(int fd, int slot, int generation, Handler handler) {
      this.fd = fd;
      this.slot = slot;
      this.generation = generation;
      this.handler = handler;
    }

    private long key() {
      return (long) generation << 32 | slot;
    }

    /** Changes what is waited for; 0 pauses (errors and hang-ups are still reported). */
    public void interest(int interest) {
      assertInLoop();
      if (open) {
        control(Linux.EPOLL_CTL_MOD, fd, interest, key());
      }
    }

    /** Stops watching. Must come before the descriptor is closed. */
    @Override
    public void close() {
      assertInLoop();
      if (open) {
        open = false;
        slots.set(slot, null);
        freeSlots.add(slot);
        control(Linux.EPOLL_CTL_DEL, fd, 0, 0);
      }
    }
  }

  private void control(int operation, int fd, int interest, long data) {
    scratch.set(ValueLayout.JAVA_INT, 0, interest);
    scratch.set(DATA, 4, data);
    Libc.epoll_ctl(epoll.number(), operation, fd, scratch.address());
  }

  private void assertInLoop() {
    if (!inLoop()) {
      throw new IllegalStateException("called outside of " + thread.getName());
    }
  }

  private void run() {
    while (!closed) {
      int count =
          Libc.Try.epoll_wait(
              epoll.number(), events.address(), MAX_EVENTS, tasks.isEmpty() ? -1 : 0);
      if (count < 0 && Native.getLastError() != Linux.EINTR) {
        log.error("epoll_wait on {}: errno {}", thread.getName(), Native.getLastError());
        break;
      }
      for (int i = 0; i < count; i++) {
        dispatch(
            events.get(ValueLayout.JAVA_INT_UNALIGNED, (long) i * EVENT_SIZE),
            events.get(DATA, (long) i * EVENT_SIZE + 4));
      }
      runTasks();
    }
    epoll.close();
    wakeup.close();
    arena.close();
  }

  private void dispatch(int ready, long key) {
    if (key == -1L) {
      Libc.Try.read(wakeup.number(), scratch.address(), 8);
      wakeupPending.set(false);
      return;
    }
    Registration registration = slots.get((int) key);
    if (registration == null || registration.generation != (int) (key >>> 32)) {
      return;
    }
    try {
      registration.handler.ready(ready);
    } catch (Throwable t) {
      report("handler {} failed", registration.handler, t);
      fail(registration, t);
    }
  }

  /** Whatever else goes wrong with it, the loop serves others. */
  private static void fail(Registration registration, Throwable cause) {
    try {
      registration.close();
    } catch (RuntimeException e) {
      report("handler {} closed its descriptor too early", registration.handler, e);
    }
    try {
      registration.handler.failed(cause);
    } catch (Throwable t) {
      report("handler {} failed again", registration.handler, t);
    }
  }

  /** A log needs memory, which may be what there is none of: then the loop goes on in silence. */
  private static void report(String message, Object who, Throwable cause) {
    try {
      log.error(message, who, cause);
    } catch (Throwable t) {
      // There is nobody to tell.
    }
  }

  private void runTasks() {
    for (int i = 0; i < TASK_BUDGET; i++) {
      Runnable task = tasks.poll();
      if (task == null) {
        return;
      }
      try {
        task.run();
      } catch (Throwable t) {
        report("task on {} failed", thread.getName(), t);
      }
    }
  }

  /**
   * Ends the loop after the tasks already queued. Handlers still registered are no longer called.
   */
  @Override
  public void close() {
    execute(() -> closed = true);
  }
}
