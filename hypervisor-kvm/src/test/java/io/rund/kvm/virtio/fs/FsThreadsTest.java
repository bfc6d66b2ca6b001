package io.rund.kvm.virtio.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.virtio.VirtioDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class FsThreadsTest {
  private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1L);

  private final FsThreads threads = new FsThreads();
  private final List<Fd> kicks = new ArrayList<>();
  private final Set<Thread> used = ConcurrentHashMap.newKeySet();
  private final Semaphore served = new Semaphore(0);

  @AfterEach
  void tearDown() throws InterruptedException {
    threads.close();
    for (Thread thread : used) {
      thread.join(30_000);
      assertTrue(!thread.isAlive(), "a thread outlives close");
    }
    kicks.forEach(Fd::close);
  }

  private VirtioDevice.Watch watch(Runnable serve) {
    kicks.add(Fd.eventFd());
    return threads.watch(
        kicks.getLast(),
        () -> {
          used.add(Thread.currentThread());
          serve.run();
        });
  }

  private void kick(int i) {
    long _ = Libc.Try.write(kicks.get(i).number(), ONE.address(), Long.BYTES);
  }

  private void awaitServed() throws InterruptedException {
    assertTrue(served.tryAcquire(30, TimeUnit.SECONDS), "a kick is not served");
  }

  @Test
  void kicksOneAfterTheOtherNeedFewThreads() throws InterruptedException {
    VirtioDevice.Watch watch = watch(served::release);
    for (int i = 0; i < 1000; i++) {
      kick(0);
      awaitServed();
    }
    watch.close();
    assertTrue(used.size() <= 10, () -> used.size() + " threads");
  }

  @Test
  void whoHangsHoldsUpNobodyElse() throws InterruptedException {
    Semaphore hanging = new Semaphore(0);
    int many = 40;
    for (int i = 0; i < many; i++) {
      var _ = watch(hanging::acquireUninterruptibly);
      kick(i);
    }
    var _ = watch(served::release);
    kick(many);
    awaitServed();
    hanging.release(many);
  }

  @Test
  void whatFailsIsServedAgain() throws InterruptedException {
    AtomicInteger calls = new AtomicInteger();
    var _ =
        watch(
            () -> {
              int earlier = calls.getAndIncrement();
              served.release();
              if (earlier == 0) {
                throw new IllegalStateException("for the test");
              }
            });
    for (int i = 0; i < 2; i++) {
      kick(0);
      awaitServed();
    }
    assertEquals(2, calls.get());
  }

  @Test
  void aPlaceIsUsedAgainAndAKickBeforeTheWatchCounts() throws InterruptedException {
    AtomicInteger first = new AtomicInteger();
    watch(first::incrementAndGet).close();
    kick(0);
    kicks.add(Fd.eventFd());
    kick(1);
    var _ = threads.watch(kicks.get(1), served::release);
    awaitServed();
    assertEquals(0, first.get());
  }
}
