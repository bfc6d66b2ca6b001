package io.rund.core.sandbox;

import java.time.Instant;

/** The host's wall clock. */
final class WallClock {
  private WallClock() {}

  /** Nanoseconds since the epoch. */
  static long nanos() {
    Instant now = Instant.now();
    return now.getEpochSecond() * 1_000_000_000L + now.getNano();
  }
}
