package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class EngineMemoryTest {
  private static final Duration QUIET = Duration.ofSeconds(1);

  private final Semaphore trims = new Semaphore(0);
  private final EngineMemory memory = new EngineMemory(QUIET, trims::release);

  @Test
  void isGivenBackOnceAfterTheLastOfManyChanges() throws InterruptedException {
    for (int i = 0; i < 5; i++) {
      memory.changed();
    }
    long last = System.nanoTime();
    memory.changed();
    assertTrue(trims.tryAcquire(1, TimeUnit.MINUTES));
    assertTrue(System.nanoTime() - last >= QUIET.toNanos());
    Thread.sleep(2 * QUIET.toMillis());
    assertEquals(0, trims.availablePermits(), "nothing has changed since");
  }

  @Test
  void isGivenBackAgainAfterTheNextChange() throws InterruptedException {
    for (int i = 0; i < 2; i++) {
      memory.changed();
      assertTrue(trims.tryAcquire(1, TimeUnit.MINUTES));
    }
  }
}
