package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several workers of one guest at once. */
class NodeTableTest {
  private static final int WORKERS = 4;
  private static final int ROUNDS = 4000;
  private static final int FILES = 3;

  @TempDir Path host;

  /** Looks files up and forgets them; no node may go while this worker has not forgotten it. */
  private static Void lookUpAndForget(FsFixture guest, int seed) {
    WorkerCredentials.prepareThread();
    Random random = new Random(seed);
    Entry entry = new Entry();
    Attributes attributes = new Attributes();
    List<Name> names = new ArrayList<>();
    for (int i = 0; i < FILES; i++) {
      names.add(name("file" + i));
    }
    for (int round = 0; round < ROUNDS; round++) {
      int which = random.nextInt(FILES);
      Map<Long, Integer> held = new HashMap<>();
      for (int i = random.nextInt(3); i >= 0; i--) {
        assertEquals(0, guest.fs.lookup(guest.top, names.get(which), entry));
        held.merge(entry.node(), 1, Integer::sum);
      }
      assertEquals(1, held.size(), "one file, but nodes " + held);
      long node = entry.node();
      assertEquals(0, guest.fs.getAttributes(node, attributes));
      assertEquals(which + 1, attributes.size());
      long handle = guest.fs.open(node, 0, false);
      assertTrue(handle >= 0);
      guest.fs.forget(node, held.get(node));
      assertEquals("x".repeat(which + 1), guest.read(handle, 0, 10));
      assertEquals(0, guest.fs.release(handle));
    }
    return null;
  }

  @Test
  void lookingUpAndForgettingMayCross() throws Exception {
    for (int i = 0; i < FILES; i++) {
      Files.writeString(host.resolve("file" + i), "x".repeat(i + 1));
    }
    try (FsFixture guest = new FsFixture(host)) {
      List<FutureTask<Void>> tasks = new ArrayList<>();
      for (int i = 0; i < WORKERS; i++) {
        int seed = i;
        FutureTask<Void> task = new FutureTask<>(() -> lookUpAndForget(guest, seed));
        tasks.add(task);
        Thread.ofPlatform().start(task);
      }
      for (FutureTask<Void> task : tasks) {
        wait(task);
      }
      // The share's own node and the share itself.
      assertEquals(2, FsFixture.descriptorsIn(host));
      assertEquals(1, guest.budget.used());
    }
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private static void wait(FutureTask<Void> task) throws Exception {
    try {
      task.get(60, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      throw new AssertionError("a worker hangs", e);
    }
  }

  @Test
  void tableGrowsAndFindsEverything() throws Exception {
    int many = 1500;
    for (int i = 0; i < many; i++) {
      Files.createFile(host.resolve("file" + i));
    }
    try (FsFixture guest = new FsFixture(host, 2 * many)) {
      Map<Long, Integer> nodes = new HashMap<>();
      for (int i = 0; i < many; i++) {
        nodes.put(guest.find("file" + i), i);
      }
      assertEquals(many, nodes.size());
      for (Map.Entry<Long, Integer> each : nodes.entrySet()) {
        assertEquals(each.getKey(), guest.find("file" + each.getValue()));
        if (each.getValue() % 2 == 0) {
          guest.fs.forget(each.getKey(), 2);
        }
      }
      assertEquals(many / 2 + 1, guest.budget.used());
      for (Map.Entry<Long, Integer> each : nodes.entrySet()) {
        assertEquals(
            each.getValue() % 2 != 0, guest.fs.getAttributes(each.getKey(), guest.attributes) == 0);
      }
    }
  }

  @Test
  void threadThatIsNotPreparedIsTold() throws Exception {
    try (FsFixture guest = new FsFixture(host)) {
      FutureTask<Throwable> task =
          new FutureTask<>(
              () ->
                  assertThrows(
                      IllegalStateException.class,
                      () ->
                          guest.fs.makeDirectory(
                              guest.caller, guest.top, name("x"), 0755, new Entry())));
      Thread.ofPlatform().start(task);
      assertTrue(task.get(10, TimeUnit.SECONDS).getMessage().contains("prepareThread"));
    }
    assertEquals(0, FsFixture.descriptorsIn(host));
  }
}
