package io.rund.core.sandbox;

import io.rund.core.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sees to it that guests keep the host's time. A guest's clock is set when it starts and goes at
 * the pace of the CPU from then on (kvm-clock counts CLOCK_MONOTONIC_RAW, get_kvmclock_base_ns in
 * arch/x86/kvm/x86.c), while the host's is steered by NTP and may be set. So it is enough to look,
 * once in a while, how far the host's two clocks have gone apart since a guest was told the time,
 * and to speak to it only then.
 */
final class GuestClocks implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(GuestClocks.class);

  /** One guest's. */
  interface Clock {
    /** What {@link #hostOffset} was when the guest was told the time last. */
    long toldOffset();

    /** Tells it the time; may wait for it. */
    void tellTime();
  }

  /** Nanoseconds: a quarter of an hour, about, of a host that NTP steers. */
  static final long TOLERANCE = 20_000_000;

  private static final int CLOCK_REALTIME = 0;
  private static final int CLOCK_MONOTONIC_RAW = 4;

  private final Duration period;
  private final LongSupplier offset;
  private final Supplier<Stream<? extends Clock>> clocks;
  private final Thread watcher;

  /** Looks every {@code period}. */
  GuestClocks(Duration period, Supplier<Stream<? extends Clock>> clocks) {
    this(period, GuestClocks::hostOffset, clocks);
  }

  GuestClocks(Duration period, LongSupplier offset, Supplier<Stream<? extends Clock>> clocks) {
    this.period = period;
    this.offset = offset;
    this.clocks = clocks;
    this.watcher = Thread.ofVirtual().name("guest-clocks").start(this::watch);
  }

  private void watch() {
    try {
      while (true) {
        Thread.sleep(period);
        look();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void look() {
    long now = offset.getAsLong();
    try {
      clocks
          .get()
          .filter(clock -> Math.abs(now - clock.toldOffset()) > TOLERANCE)
          .forEach(clock -> Thread.startVirtualThread(clock::tellTime));
    } catch (OutOfMemoryError e) {
      log.debug("no thread that tells guests the time; the next time", e);
    }
  }

  /** Of the host's wall clock from the pace that guests keep, in nanoseconds. */
  static long hostOffset() {
    return nanos(CLOCK_REALTIME) - nanos(CLOCK_MONOTONIC_RAW);
  }

  private static long nanos(int clock) {
    try (Arena arena = Arena.ofConfined()) {
      // struct timespec
      MemorySegment time = arena.allocate(2 * Long.BYTES, Long.BYTES);
      Libc.clock_gettime(clock, time.address());
      return time.get(ValueLayout.JAVA_LONG, 0) * 1_000_000_000L
          + time.get(ValueLayout.JAVA_LONG, Long.BYTES);
    }
  }

  @Override
  public void close() {
    watcher.interrupt();
  }
}
