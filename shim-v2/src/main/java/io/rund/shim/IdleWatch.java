package io.rund.shim;

import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcServer;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.function.BooleanSupplier;

/**
 * Finds out when nobody needs the engine any more. The launcher says Hello to an engine under the
 * lock that this takes before it decides, so nobody is sent to an engine that is about to go.
 */
final class IdleWatch {
  /** Before the lock is asked for again. */
  private static final Duration PAUSE = Duration.ofMillis(200);

  private final TtrpcServer server;
  private final BooleanSupplier hasSandboxes;
  private final Duration timeout;

  IdleWatch(TtrpcServer server, BooleanSupplier hasSandboxes, Duration timeout) {
    this.server = server;
    this.hasSandboxes = hasSandboxes;
    this.timeout = timeout;
  }

  /**
   * Returns when there has been no sandbox and no request for as long as configured; then {@code
   * lock} is held, and goes with the process.
   */
  FileLock await(Path lock) throws InterruptedException {
    try {
      FileChannel file =
          FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      while (true) {
        Duration remaining = remaining();
        Thread.sleep(remaining.compareTo(PAUSE) > 0 ? remaining : PAUSE);
        FileLock held = remaining().isPositive() ? null : file.tryLock();
        if (held != null && !remaining().isPositive()) {
          return held;
        }
        if (held != null) {
          held.release();
        }
      }
    } catch (IOException e) {
      throw RundException.internal("cannot lock " + lock, e);
    }
  }

  private Duration remaining() {
    if (hasSandboxes.getAsBoolean() || server.inFlight() > 0) {
      return timeout;
    }
    return timeout.minusNanos(System.nanoTime() - server.lastRequestNanos());
  }
}
