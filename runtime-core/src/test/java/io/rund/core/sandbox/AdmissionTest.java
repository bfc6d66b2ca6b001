package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class AdmissionTest {
  private final Admission admission = new Admission(2);
  private final LinkedBlockingQueue<Admission.Place> places = new LinkedBlockingQueue<>();
  private final LinkedBlockingQueue<String> admitted = new LinkedBlockingQueue<>();
  private final List<Thread> threads = new ArrayList<>();

  /** Someone who wants a place, waiting for it unless there is one. */
  private CompletableFuture<RundException> come(String id, CompletableFuture<Void> givenUp) {
    CompletableFuture<RundException> failure = new CompletableFuture<>();
    Thread thread =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    Admission.Place place = admission.enter(id, givenUp);
                    admitted.add(id);
                    places.add(place);
                  } catch (RundException e) {
                    failure.complete(e);
                  }
                });
    threads.add(thread);
    while (thread.getState() != Thread.State.WAITING && thread.isAlive()) {
      Thread.onSpinWait();
    }
    return failure;
  }

  private void come(String id) {
    var _ = come(id, new CompletableFuture<>());
  }

  private void leave() throws InterruptedException {
    places.poll(10, TimeUnit.SECONDS).close();
  }

  private String next() throws InterruptedException {
    return admitted.poll(10, TimeUnit.SECONDS);
  }

  @Test
  void whoComesFirstGoesFirst() throws Exception {
    List.of("a", "b", "c", "d", "e").forEach(this::come);
    assertEquals("a", next());
    assertEquals("b", next());
    assertTrue(admitted.isEmpty());
    for (String expected : List.of("c", "d", "e")) {
      leave();
      assertEquals(expected, next());
    }
  }

  @Test
  void whoGivesUpFreesItsTurnAndIsTold() throws Exception {
    CompletableFuture<Void> givenUp = new CompletableFuture<>();
    come("a");
    come("b");
    CompletableFuture<RundException> failure = come("c", givenUp);
    come("d");
    givenUp.complete(null);
    RundException e = failure.get(10, TimeUnit.SECONDS);
    assertEquals(ErrorCode.DEADLINE_EXCEEDED, e.code());
    assertTrue(e.getMessage().contains("the start of c was given up"), e.getMessage());
    next();
    next();
    leave();
    assertEquals("d", next());
  }

  @Test
  void whoGaveUpBeforeItCameHasNoTurn() {
    CompletableFuture<Void> givenUp = CompletableFuture.completedFuture(null);
    assertThrows(RundException.class, () -> admission.enter("a", givenUp));
  }

  @Test
  void givingUpAfterTheTurnHasComeChangesNothing() throws Exception {
    CompletableFuture<Void> givenUp = new CompletableFuture<>();
    var _ = come("a", givenUp);
    come("b");
    come("c");
    givenUp.complete(null);
    assertEquals("a", next());
    assertEquals("b", next());
    assertTrue(admitted.isEmpty());
    leave();
    assertEquals("c", next());
  }

  @Test
  void placesThatAreNotWantedStayFree() throws Exception {
    come("a");
    leave();
    come("b");
    come("c");
    assertEquals(List.of("a", "b", "c"), List.of(next(), next(), next()));
  }
}
