package io.rund.kvm.fs;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many descriptors guests may make the engine hold. Nodes and handles count alike. A sandbox
 * may hold no more than its bound, and no more than are still free: so however many take all they
 * can get, some are left for one that comes. Thread-safe.
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

  /** What one sandbox holds. */
  final class Part {
    private final AtomicInteger mine = new AtomicInteger();

    /** Whether one more descriptor is allowed; if so, it is counted. */
    boolean take() {
      int held = mine.incrementAndGet();
      int free = total - used.incrementAndGet();
      if (held <= perSandbox && held <= free + 1) {
        return true;
      }
      give();
      return false;
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
