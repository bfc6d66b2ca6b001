package io.rund.core.sandbox;

import io.rund.core.linux.Libc;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives back to the host what the engine took while sandboxes came and went: objects that have
 * become garbage since, and what the JVM's compilers left to the allocator of C. Neither goes by
 * itself, since a heap is collected only when it is full. Safe for use by several threads.
 */
final class EngineMemory {
  private static final Logger log = LoggerFactory.getLogger(EngineMemory.class);

  private final Duration quiet;
  private final Runnable trim;
  private final AtomicBoolean armed = new AtomicBoolean();
  private volatile long lastChange;

  /**
   * @param quiet how long nothing must have changed before memory is given back: a full collection
   *     holds up what a guest asks for meanwhile
   */
  EngineMemory(Duration quiet) {
    this(quiet, EngineMemory::trim);
  }

  EngineMemory(Duration quiet, Runnable trim) {
    this.quiet = quiet;
    this.trim = trim;
  }

  /** A sandbox has come or gone. */
  void changed() {
    lastChange = System.nanoTime();
    if (armed.compareAndSet(false, true)) {
      after(quiet);
    }
  }

  private void after(Duration delay) {
    CompletableFuture.delayedExecutor(delay.toNanos(), TimeUnit.NANOSECONDS).execute(this::look);
  }

  private void look() {
    Duration left = quiet.minusNanos(System.nanoTime() - lastChange);
    if (left.isPositive()) {
      after(left);
      return;
    }
    // First, so that a change that comes now is not missed.
    armed.set(false);
    trim.run();
  }

  private static void trim() {
    long began = System.nanoTime();
    System.gc();
    int _ = Libc.malloc_trim(0);
    log.debug("memory given back in {} ms", (System.nanoTime() - began) / 1_000_000);
  }
}
