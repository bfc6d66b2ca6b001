package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/** An anchor that is being started, which is another process's work, while its user goes on. */
final class AnchorStart {
  private final CompletableFuture<Anchor> anchor;

  private AnchorStart(CompletableFuture<Anchor> anchor) {
    this.anchor = anchor;
  }

  static AnchorStart begin(Supplier<Anchor> start) {
    return new AnchorStart(CompletableFuture.supplyAsync(start, Thread::startVirtualThread));
  }

  /** Waits for the anchor, or throws what kept it from starting. */
  Anchor get() {
    try {
      return anchor.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RundException cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** Ends the anchor if it starts. Waits. */
  void discard() {
    anchor.thenAccept(Anchor::close).exceptionally(failure -> null).join();
  }
}
