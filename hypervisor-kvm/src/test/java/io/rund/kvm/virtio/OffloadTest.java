package io.rund.kvm.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.EventLoop;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class OffloadTest {
  private static final int CAPACITY = 64;
  private static final int WORKERS = 3;
  private static final int TURN = 5;

  private final EventLoop loop = new EventLoop("offload-test");
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final Offload<Waits> offload =
      new Offload<>(loop, threads, CAPACITY, WORKERS, TURN, () -> new Waits(false));
  private final AtomicInteger busy = new AtomicInteger();
  private final AtomicInteger mostBusy = new AtomicInteger();
  private final Semaphore permits = new Semaphore(0);

  private final AtomicInteger done = new AtomicInteger();

  @AfterEach
  void tearDown() {
    threads.shutdown();
    loop.close();
  }

  private final class Waits extends Offload.Work<Waits> {
    private final boolean fails;

    Waits(boolean fails) {
      this.fails = fails;
    }

    @Override
    protected void perform() {
      mostBusy.accumulateAndGet(busy.incrementAndGet(), Math::max);
      permits.acquireUninterruptibly();
      busy.decrementAndGet();
      done.incrementAndGet();
      if (fails) {
        throw new IllegalStateException("for the test");
      }
    }
  }

  private void onLoop(Runnable task) throws Exception {
    CompletableFuture.runAsync(task, loop).get(30, TimeUnit.SECONDS);
  }

  private CompletableFuture<Integer> stop() throws Exception {
    CompletableFuture<Integer> stopped = new CompletableFuture<>();
    onLoop(() -> offload.stop(() -> stopped.complete(done.get())));
    return stopped;
  }

  private void awaitIdle() throws Exception {
    AtomicInteger left = new AtomicInteger(1);
    while (left.get() > 0) {
      onLoop(() -> left.set(offload.underWay()));
    }
  }

  @Test
  void everythingIsDoneByNoMoreThreadsThanAllowed() throws Exception {
    List<Waits> work = new ArrayList<>();
    for (int i = 0; i < CAPACITY; i++) {
      work.add(new Waits(i == 1));
    }
    onLoop(() -> work.forEach(offload::submit));
    permits.release(CAPACITY);
    awaitIdle();
    assertEquals(CAPACITY, done.get());
    assertTrue(mostBusy.get() <= WORKERS, mostBusy::toString);
  }

  @Test
  void stopWaitsForWhatIsBegunAndDropsTheRest() throws Exception {
    onLoop(
        () -> {
          for (int i = 0; i < CAPACITY; i++) {
            offload.submit(new Waits(false));
          }
        });
    while (busy.get() < WORKERS) {
      Thread.onSpinWait();
    }
    CompletableFuture<Integer> stopped = stop();
    assertFalse(stopped.isDone());
    permits.release(CAPACITY);
    assertEquals(WORKERS, stopped.get(30, TimeUnit.SECONDS));
    onLoop(() -> offload.submit(offload.take()));
    awaitIdle();
    assertEquals(WORKERS + 1, done.get(), "it goes on after a stop");
  }

  @Test
  void aHostWithoutThreadsIsTriedAgainAndHoldsUpNoStop() throws Exception {
    AtomicInteger refusals = new AtomicInteger(2);
    Offload<Waits> starved =
        new Offload<>(
            loop,
            task -> {
              if (refusals.getAndDecrement() > 0) {
                throw new OutOfMemoryError("unable to create native thread");
              }
              threads.execute(task);
            },
            CAPACITY,
            1,
            TURN,
            () -> new Waits(false));
    permits.release(1);
    onLoop(() -> starved.submit(starved.take()));
    while (done.get() == 0) {
      Thread.sleep(10);
    }
    refusals.set(Integer.MAX_VALUE);
    CompletableFuture<Void> stopped = new CompletableFuture<>();
    onLoop(
        () -> {
          starved.submit(starved.take());
          starved.stop(() -> stopped.complete(null));
        });
    stopped.get(30, TimeUnit.SECONDS);
  }

  @Test
  void whatIsDoneIsTakenAgain() throws Exception {
    permits.release(1);
    CompletableFuture<Waits> first = new CompletableFuture<>();
    onLoop(
        () -> {
          Waits work = offload.take();
          offload.submit(work);
          first.complete(work);
        });
    awaitIdle();
    onLoop(
        () -> {
          assertEquals(0, offload.underWay());
          assertSame(first.join(), offload.take());
          assertNotSame(first.join(), offload.take());
        });
  }

  @Test
  void stopsAtOnceWithNothingUnderWay() throws Exception {
    assertTrue(stop().isDone());
  }

  @Test
  void noneIsForgottenHoweverWorkersComeAndGo() throws Exception {
    permits.release(1_000_000);
    Waits[] work = new Waits[CAPACITY];
    for (int i = 0; i < CAPACITY; i++) {
      work[i] = new Waits(false);
    }
    int rounds = 2000;
    int sum = 0;
    for (int round = 1; round <= rounds; round++) {
      int count = 1 + round % CAPACITY;
      sum += count;
      onLoop(
          () -> {
            for (int i = 0; i < count; i++) {
              offload.submit(work[i]);
            }
          });
      awaitIdle();
      assertEquals(sum, done.get());
    }
  }
}
