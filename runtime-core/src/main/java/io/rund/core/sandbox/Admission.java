package io.rund.core.sandbox;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Lets as many sandboxes boot at once as there are CPUs, and the others wait in the order in which
 * they came: a boot is work of a CPU, so more of them at once would only make all of them late.
 * What waits holds a virtual thread and what it has opened, no more.
 *
 * <p>Only the boot is counted, which is over before anything of the user's runs: no guest and no
 * slow file system can keep a place. Safe for use by several threads; nobody waits under the lock.
 */
final class Admission {
  /** The right to boot. Passed on to the next when it is closed; to be closed once. */
  final class Place implements AutoCloseable {
    private Place() {}

    @Override
    public void close() {
      leave();
    }
  }

  /** A start that waits. */
  private static final class Waiter {
    final String id;
    final CompletableFuture<Place> turn = new CompletableFuture<>();

    Waiter(String id) {
      this.id = id;
    }
  }

  /** In the order in which they came; guarded by itself, as is {@link #free}. */
  private final Set<Waiter> waiting = new LinkedHashSet<>();

  private int free;

  Admission(int places) {
    free = places;
  }

  /** As many places as there are CPUs; two at least, since each boot also waits for its anchor. */
  static Admission byCpus() {
    return new Admission(Math.max(2, Runtime.getRuntime().availableProcessors()));
  }

  /**
   * Waits for a place.
   *
   * @param id of the container, for messages
   * @param givenUp when it completes, who waits gives its turn to the next
   * @throws RundException DEADLINE_EXCEEDED if it was given up before its turn
   */
  Place enter(String id, CompletableFuture<Void> givenUp) {
    Waiter waiter = new Waiter(id);
    synchronized (waiting) {
      if (free > 0 && !givenUp.isDone()) {
        free--;
        return new Place();
      }
      waiting.add(waiter);
    }
    var _ = givenUp.thenRun(() -> giveUp(waiter));
    try {
      return waiter.turn.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException known ? known : e;
    }
  }

  /** Only who still waits can give up; a place that was got is closed by its owner. */
  private void giveUp(Waiter waiter) {
    int others;
    synchronized (waiting) {
      if (!waiting.remove(waiter)) {
        return;
      }
      others = waiting.size();
    }
    waiter.turn.completeExceptionally(
        new RundException(
            ErrorCode.DEADLINE_EXCEEDED,
            "the start of %s was given up while it waited for a CPU, as %d others do"
                .formatted(waiter.id, others)));
  }

  private void leave() {
    Waiter next;
    synchronized (waiting) {
      if (waiting.isEmpty()) {
        free++;
        return;
      }
      next = waiting.iterator().next();
      waiting.remove(next);
    }
    next.turn.complete(new Place());
  }
}
