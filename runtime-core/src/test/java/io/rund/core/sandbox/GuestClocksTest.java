package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GuestClocksTest {
  private static final long HOUR = 3_600_000_000_000L;

  private final AtomicLong host = new AtomicLong(1000 * HOUR);
  private final Semaphore looks = new Semaphore(0);
  private final FakeClock one = new FakeClock(1000 * HOUR);

  private final class FakeClock implements GuestClocks.Clock {
    private volatile long told;
    private final AtomicInteger times = new AtomicInteger();

    FakeClock(long told) {
      this.told = told;
    }

    @Override
    public long toldOffset() {
      return told;
    }

    @Override
    public void tellTime() {
      told = host.get();
      times.incrementAndGet();
    }
  }

  private long look() {
    looks.release();
    return host.get();
  }

  private void awaitLooks() throws InterruptedException {
    looks.drainPermits();
    // The first of them may have begun before.
    assertTrue(looks.tryAcquire(3, 30, TimeUnit.SECONDS));
  }

  private static void awaitTold(FakeClock clock, int times) throws InterruptedException {
    while (clock.times.get() < times) {
      Thread.sleep(1);
    }
  }

  @Test
  void aGuestIsToldWhenTheHostsClockHasGoneElsewhereAndNotBefore() throws Exception {
    FakeClock ofTheHourBetween = new FakeClock(1001 * HOUR);
    try (GuestClocks _ =
        new GuestClocks(Duration.ofMillis(1), this::look, () -> Stream.of(one, ofTheHourBetween))) {
      awaitTold(ofTheHourBetween, 1);
      assertEquals(host.get(), ofTheHourBetween.told);
      host.addAndGet(GuestClocks.TOLERANCE);
      awaitLooks();
      assertEquals(0, one.times.get());
      host.addAndGet(1);
      awaitTold(one, 1);
      host.addAndGet(-HOUR);
      awaitTold(one, 2);
      assertEquals(999 * HOUR + GuestClocks.TOLERANCE + 1, one.told);
    }
  }

  @Test
  void theHostsClocksDoNotGoApartMeanwhile() throws Exception {
    FakeClock now = new FakeClock(GuestClocks.hostOffset());
    try (GuestClocks _ = new GuestClocks(Duration.ofMillis(1), () -> Stream.of(now))) {
      Thread.sleep(50);
    }
    assertEquals(0, now.times.get());
  }
}
