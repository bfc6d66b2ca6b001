package io.rund.kvm.fs;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many descriptors guests may make the engine hold: over all sandboxes, and for each. Nodes and
 * handles count alike. Thread-safe.
 */
public final class NodeBudget {
  private final int total;
  private final int perSandbox;
  private final AtomicInteger used = new AtomicInteger();

  /** {@code total} must leave the engine descriptors of its own below RLIMIT_NOFILE. */
  public NodeBudget(int total, int perSandbox) {
    this.total = total;
    this.perSandbox = perSandbox;
  }

  /** Descriptors that all guests hold now. */
  public int used() {
    return used.get();
  }

  Part part() {
    return new Part();
  }

  private static boolean take(AtomicInteger counter, int bound) {
    if (counter.incrementAndGet() <= bound) {
      return true;
    }
    counter.decrementAndGet();
    return false;
  }

  /** What one sandbox holds. */
  final class Part {
    private final AtomicInteger mine = new AtomicInteger();

    /** Whether one more descriptor is allowed; if so, it is counted. */
    boolean take() {
      if (!NodeBudget.take(mine, perSandbox)) {
        return false;
      }
      if (!NodeBudget.take(used, total)) {
        mine.decrementAndGet();
        return false;
      }
      return true;
    }

    void give() {
      used.decrementAndGet();
      mine.decrementAndGet();
    }

    int capacity() {
      return perSandbox;
    }

    int used() {
      return mine.get();
    }
  }
}
