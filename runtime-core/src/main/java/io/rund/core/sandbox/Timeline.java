package io.rund.core.sandbox;

import java.util.ArrayList;
import java.util.List;

/**
 * The phases of one start-up, in nanoseconds after its first instant (System.nanoTime). Phases may
 * overlap. Safe for use by several threads.
 */
public final class Timeline {
  /** A phase: {@code startNanos} and {@code endNanos} count from the timeline's origin. */
  public record Phase(String name, long startNanos, long endNanos) {}

  private final long originNanos;
  private final List<Phase> phases = new ArrayList<>();

  public Timeline(long originNanos) {
    this.originNanos = originNanos;
  }

  /** Adds a phase that began at {@code startNanos} (System.nanoTime) and ends now. */
  public void phase(String name, long startNanos) {
    phase(name, startNanos, System.nanoTime());
  }

  public synchronized void phase(String name, long startNanos, long endNanos) {
    phases.add(new Phase(name, startNanos - originNanos, endNanos - originNanos));
  }

  public synchronized List<Phase> phases() {
    return List.copyOf(phases);
  }
}
