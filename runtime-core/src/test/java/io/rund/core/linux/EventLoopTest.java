package io.rund.core.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EventLoopTest {
  private final EventLoop loop = new EventLoop("loop-test");

  @AfterEach
  void close() {
    loop.close();
  }

  /** Registers {@code fd}, and completes with the first events. */
  private CompletableFuture<Integer> watch(Fd fd) {
    CompletableFuture<Integer> seen = new CompletableFuture<>();
    loop.execute(() -> register(fd, seen));
    return seen;
  }

  private void register(Fd fd, CompletableFuture<Integer> seen) {
    EventLoop.Registration[] registration = new EventLoop.Registration[1];
    registration[0] =
        loop.register(
            fd.number(),
            Linux.EPOLLIN,
            events -> {
              registration[0].close();
              seen.complete(events);
            });
  }

  private static void signal(Fd fd) {
    try (Arena arena = Arena.ofConfined()) {
      long one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1L).address();
      assertEquals(8, Libc.Try.write(fd.number(), one, 8));
    }
  }

  @Test
  void aTaskThatAddsItselfAgainHoldsOffNobody() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    loop.execute(
        new Runnable() {
          @Override
          public void run() {
            if (!stop.get()) {
              loop.execute(this);
            }
          }
        });
    try (Fd fd = Fd.eventFd()) {
      CompletableFuture<Integer> seen = watch(fd);
      signal(fd);
      assertEquals(Linux.EPOLLIN, seen.get(30, TimeUnit.SECONDS));
    } finally {
      stop.set(true);
    }
  }

  @Test
  void aHandlerThatClosesItsDescriptorAndThrowsTwiceHarmsNobody() throws Exception {
    Fd bad = Fd.eventFd();
    try (Fd good = Fd.eventFd()) {
      loop.execute(
          () ->
              loop.register(
                  bad.number(),
                  Linux.EPOLLIN,
                  new EventLoop.Handler() {
                    @Override
                    public void ready(int events) {
                      bad.close();
                      throw new IllegalStateException("broken");
                    }

                    @Override
                    public void failed(Throwable cause) {
                      throw new IllegalStateException("and again");
                    }
                  }));
      CompletableFuture<Integer> seen = watch(good);
      signal(bad);
      signal(good);
      assertEquals(Linux.EPOLLIN, seen.get(30, TimeUnit.SECONDS));
    }
  }

  @Test
  void aHandlerThatThrowsIsToldAndTheOthersGoOn() throws Exception {
    CompletableFuture<Throwable> failure = new CompletableFuture<>();
    try (Fd bad = Fd.eventFd();
        Fd good = Fd.eventFd()) {
      loop.execute(
          () ->
              loop.register(
                  bad.number(),
                  Linux.EPOLLIN,
                  new EventLoop.Handler() {
                    @Override
                    public void ready(int events) {
                      throw new IllegalStateException("broken");
                    }

                    @Override
                    public void failed(Throwable cause) {
                      failure.complete(cause);
                    }
                  }));
      CompletableFuture<Integer> seen = watch(good);
      signal(bad);
      assertEquals("broken", failure.get(30, TimeUnit.SECONDS).getMessage());
      signal(good);
      assertEquals(Linux.EPOLLIN, seen.get(30, TimeUnit.SECONDS));
    }
  }
}
