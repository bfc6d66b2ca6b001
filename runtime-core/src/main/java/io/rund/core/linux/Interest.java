package io.rund.core.linux;

/**
 * What a handler waits for on one descriptor, whose owner it is not. Registered only as long as it
 * waits for something: without interest even a hang-up would be reported, again and again. On the
 * loop.
 */
public final class Interest {
  private final EventLoop loop;
  private final int fd;
  private final EventLoop.Handler handler;
  private EventLoop.Registration registration;
  private int interest;

  /** Waits for nothing yet. */
  public Interest(EventLoop loop, int fd, EventLoop.Handler handler) {
    this.loop = loop;
    this.fd = fd;
    this.handler = handler;
  }

  /**
   * Waits for {@code events}; 0 waits for nothing, and must come before the descriptor is closed.
   */
  public void await(int events) {
    if (interest == events) {
      return;
    }
    interest = events;
    if (registration != null) {
      registration.close();
      registration = null;
    }
    if (events != 0) {
      registration = loop.register(fd, events, handler);
    }
  }

  /** The loop has ended the registration, as it says by {@link EventLoop.Handler#failed}. */
  public void lost() {
    registration = null;
    interest = 0;
  }
}
