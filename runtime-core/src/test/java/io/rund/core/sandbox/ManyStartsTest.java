package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.agent.GuestAgent;
import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** More starts at once than there are CPUs, of VMs that boot when the test says so. */
@Timeout(60)
class ManyStartsTest {
  private static final int PLACES = Math.max(2, Runtime.getRuntime().availableProcessors());
  private static final CompletableFuture<Void> PATIENT = new CompletableFuture<>();

  /** A guest that has been started, and how its agent's answer comes. */
  private record Boot(FakeSandbox guest, CompletableFuture<GuestAgent> answer) {
    void finish() {
      answer.complete(guest);
    }
  }

  @TempDir Path bundle;
  private final LinkedBlockingQueue<Boot> boots = new LinkedBlockingQueue<>();
  private final List<String> booted = new CopyOnWriteArrayList<>();
  private EventLoop loop;
  private SandboxManager manager;

  @BeforeAll
  static void buildAnchor() throws Exception {
    NativeBinaries.build();
  }

  @BeforeEach
  void wire() throws Exception {
    loop = new EventLoop("many-starts-test");
    Path file = bundle.resolve("rund.toml");
    Files.writeString(file, "clone = false\nanchor = \"%s\"\n".formatted(NativeBinaries.ANCHOR));
    manager =
        new SandboxManager(
            vm -> {
              booted.add(vm.id());
              return new FakeSandbox(loop);
            },
            vm -> {
              Boot boot = new Boot((FakeSandbox) vm, new CompletableFuture<>());
              boots.add(boot);
              return boot.answer();
            },
            new FakeNetwork(),
            loop,
            RundConfig.read(file, bundle),
            event -> {});
    Files.writeString(
        bundle.resolve("config.json"),
        "{\"process\": {\"args\": [\"true\"]}, \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"network\", \"path\": \"/proc/self/ns/net\"}]}}");
  }

  @AfterEach
  void close() {
    manager.close();
    loop.close();
  }

  private CompletableFuture<Integer> create(String id, CompletableFuture<Void> abandoned) {
    RootfsMount root = new RootfsMount("ext4", "/dev/mapper/" + id, "", List.of());
    CreateRequest request =
        new CreateRequest("test", id, bundle, List.of(root), new StdioPaths(false, "", "", ""));
    return CompletableFuture.supplyAsync(
        () -> manager.create(request, abandoned), Thread::startVirtualThread);
  }

  private Boot nextBoot() throws InterruptedException {
    return boots.poll(30, TimeUnit.SECONDS);
  }

  /** Starts that take all places. */
  private List<Boot> fill() {
    return IntStream.range(0, PLACES)
        .mapToObj(
            i -> {
              var _ = create("first-" + i, PATIENT);
              try {
                return nextBoot();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            })
        .toList();
  }

  private static ErrorCode failure(CompletableFuture<?> create) {
    CompletionException e = assertThrows(CompletionException.class, create::join);
    return ((RundException) e.getCause()).code();
  }

  @Test
  void twoHundredAtOnceAllStartAndNeverMoreOfThemBootThanThereAreCpus() throws Exception {
    List<CompletableFuture<Integer>> creates =
        IntStream.range(0, 200).mapToObj(i -> create("many-" + i, PATIENT)).toList();
    for (int finished = 0; finished < creates.size(); finished++) {
      Boot boot = nextBoot();
      int limit = finished + PLACES;
      assertTrue(booted.size() <= limit, () -> booted.size() + " booted, not " + limit);
      boot.finish();
    }
    assertEquals(200, creates.stream().map(CompletableFuture::join).distinct().count());
    assertEquals(
        200,
        IntStream.range(0, 200)
            .mapToObj(i -> manager.timeline("test", "many-" + i))
            .filter(
                timeline ->
                    timeline.phases().stream().anyMatch(phase -> phase.name().equals("admission")))
            .count());
  }

  @Test
  void aClientThatGivesUpFreesItsPlace() throws Exception {
    List<Boot> first = fill();
    CompletableFuture<Void> abandoned = new CompletableFuture<>();
    CompletableFuture<Integer> given = create("given-up", abandoned);
    abandoned.complete(null);
    assertEquals(ErrorCode.DEADLINE_EXCEEDED, failure(given));
    CompletableFuture<Integer> next = create("next", PATIENT);
    first.forEach(Boot::finish);
    nextBoot().finish();
    assertTrue(next.join() > 0);
    assertTrue(booted.stream().noneMatch(id -> id.endsWith("given-up")), booted::toString);
  }

  @Test
  void aContainerThatIsDestroyedBeforeItsTurnIsNeverBooted() throws Exception {
    List<Boot> first = fill();
    CompletableFuture<Integer> create = create("unwanted", PATIENT);
    while (!create.isDone()) {
      try {
        var _ = manager.destroy("test", "unwanted");
      } catch (RundException e) {
        assertEquals(ErrorCode.NOT_FOUND, e.code());
      }
    }
    assertEquals(ErrorCode.DEADLINE_EXCEEDED, failure(create));
    first.forEach(Boot::finish);
    assertEquals(PLACES, booted.size());
  }

  @Test
  void whatIsBeingCreatedHasNoStateYet() throws Exception {
    List<Boot> first = fill();
    assertEquals(
        ErrorCode.NOT_FOUND,
        assertThrows(RundException.class, () -> manager.state("test", "first-0", "")).code());
    assertEquals(
        ErrorCode.FAILED_PRECONDITION,
        assertThrows(RundException.class, () -> manager.start("test", "first-0", "")).code());
    first.forEach(Boot::finish);
  }

  @Test
  void aBootThatFailsFreesItsPlace() throws Exception {
    List<Boot> first = fill();
    CompletableFuture<Integer> next = create("next", PATIENT);
    first.getFirst().guest().vmFails("test");
    nextBoot().finish();
    assertTrue(next.join() > 0);
    first.stream().skip(1).forEach(Boot::finish);
  }
}
