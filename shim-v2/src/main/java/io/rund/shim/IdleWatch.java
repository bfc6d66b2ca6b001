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
import java.util.function.LongSupplier;

/**
 * Finds out when nobody needs the engine any more. The launcher says Hello to an engine under the
 * lock that this takes before it decides, so nobody is sent to an engine that is about to go.
 */
final class IdleWatch {
  /** Before the lock is asked for again. */
  private static final Duration PAUSE = Duration.ofMillis(200);

  /** How long containerd has to come after a launcher has sent it here; it may be slow. */
  private static final Duration SENT_HERE = Duration.ofSeconds(30);

  private final TtrpcServer server;
  private final LongSupplier helloNanos;
  private final BooleanSupplier isNeeded;
  private final Duration timeout;

  /**
   * @param helloNanos when a launcher last said Hello, as of System.nanoTime
   */
  IdleWatch(
      TtrpcServer server, LongSupplier helloNanos, BooleanSupplier isNeeded, Duration timeout) {
    this.server = server;
    this.helloNanos = helloNanos;
    this.isNeeded = isNeeded;
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
        // Who was sent here may come and go meanwhile: after that it is no longer than usual.
        Thread.sleep(max(PAUSE, min(timeout, remaining())));
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

  private static Duration min(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  private static Duration max(Duration a, Duration b) {
    return a.compareTo(b) > 0 ? a : b;
  }

  private Duration remaining() {
    if (isNeeded.getAsBoolean() || server.inFlight() > 0) {
      return timeout;
    }
    boolean expected = server.lastBeginNanos() - helloNanos.getAsLong() < 0;
    Duration stay = expected ? max(timeout, SENT_HERE) : timeout;
    return stay.minusNanos(System.nanoTime() - server.lastRequestNanos());
  }
}
