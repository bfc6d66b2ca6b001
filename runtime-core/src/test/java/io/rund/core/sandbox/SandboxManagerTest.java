package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.agent.GuestAgent;
import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The manager with real anchors, and a VM and an agent that do what a test tells them. */
@Timeout(60)
class SandboxManagerTest {
  private static final String NS = "test";
  private static final byte[] EXEC = "{\"args\": [\"ls\"]}".getBytes(StandardCharsets.UTF_8);
  private static final StdioPaths NO_STDIO = new StdioPaths(false, "", "", "");

  @TempDir Path bundle;
  private final List<TaskEvent> events = new CopyOnWriteArrayList<>();
  private EventLoop loop;
  private final FakeNetwork network = new FakeNetwork();
  private FakeSandbox sandbox;
  private SandboxManager manager;

  /** Thrown while a sandbox boots, if set. */
  private Error connectFailure;

  @BeforeAll
  static void buildAnchor() throws Exception {
    NativeBinaries.build();
  }

  @BeforeEach
  void wire() throws IOException {
    loop = new EventLoop("manager-test");
    sandbox = new FakeSandbox(loop);
    Path file = bundle.resolve("rund.toml");
    Files.writeString(file, "clone = false\nanchor = \"" + NativeBinaries.ANCHOR + "\"\n");
    RundConfig config = RundConfig.read(file, bundle);
    manager =
        new SandboxManager(
            vm -> sandbox,
            vm -> {
              if (connectFailure != null) {
                throw connectFailure;
              }
              return CompletableFuture.completedFuture(sandbox);
            },
            network,
            loop,
            config,
            events::add);
    spec("");
  }

  @AfterEach
  void close() {
    manager.close();
    loop.close();
  }

  private void spec(String resources) throws IOException {
    spec(resources, "");
  }

  private void spec(String resources, String root) throws IOException {
    Files.writeString(
        bundle.resolve("config.json"),
        "{\"process\": {\"args\": [\"true\"]}, %s\"linux\": {%s\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"network\", \"path\": \"/proc/self/ns/net\"}]}}"
            .formatted(root, resources));
  }

  private int create() {
    return manager.create(request(new RootfsMount("ext4", "/dev/mapper/snap-1", "", List.of())));
  }

  /** A container that runs, and an exec in it. */
  private void startWithExec() {
    create();
    manager.start(NS, "web", "");
    manager.exec(NS, "web", "ls", EXEC, NO_STDIO);
    manager.start(NS, "web", "ls");
  }

  private CreateRequest request(RootfsMount... rootfs) {
    return new CreateRequest(NS, "web", bundle, List.of(rootfs), NO_STDIO);
  }

  private List<String> eventNames() {
    return events.stream().map(event -> event.getClass().getSimpleName()).toList();
  }

  private static void eventually(BooleanSupplier condition) throws InterruptedException {
    for (long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        !condition.getAsBoolean(); ) {
      assertTrue(System.nanoTime() < end, "did not happen within 30 s");
      Thread.sleep(5);
    }
  }

  private void assertFails(ErrorCode code, String message, Runnable call) {
    RundException e = assertThrows(RundException.class, call::run);
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void aDeletionReturnsWhenNothingIsLeftOfASandboxThatEndsByItself() throws Exception {
    int pid = create();
    sandbox.mayClose = new CompletableFuture<>();
    sandbox.vmFails("KVM_EXIT_INTERNAL_ERROR");
    manager.await(NS, "web", "");
    CompletableFuture<Void> deleted =
        CompletableFuture.runAsync(() -> manager.delete(NS, "web", ""));
    assertThrows(TimeoutException.class, () -> deleted.get(100, TimeUnit.MILLISECONDS));
    sandbox.mayClose.complete(null);
    deleted.get(30, TimeUnit.SECONDS);
    assertTrue(sandbox.closed);
    assertFalse(Files.exists(Path.of("/proc/" + pid)), "its anchor is gone");
  }

  /** containerd gives up after ten seconds, and asks again whether there is such a task. */
  @Test
  void aDeletionIsAnsweredAgainUntilContainerdHasSaidThatItKnows() throws Exception {
    create();
    manager.start(NS, "web", "");
    sandbox.end("web", "", 3);
    assertEquals(3, manager.await(NS, "web", "").exitStatus());
    sandbox.mayClose = new CompletableFuture<>();
    CompletableFuture<ProcessState> first =
        CompletableFuture.supplyAsync(() -> manager.delete(NS, "web", ""));
    CompletableFuture<ProcessState> second =
        CompletableFuture.supplyAsync(() -> manager.delete(NS, "web", ""));
    assertThrows(TimeoutException.class, () -> second.get(100, TimeUnit.MILLISECONDS));
    sandbox.mayClose.complete(null);
    assertEquals(3, first.get(30, TimeUnit.SECONDS).exitStatus());
    assertEquals(3, second.get(30, TimeUnit.SECONDS).exitStatus());
    assertTrue(sandbox.closed);
    assertEquals(List.of(), manager.list());
    assertEquals(ProcessState.Status.STOPPED, manager.state(NS, "web", "").status());
    assertEquals(3, manager.await(NS, "web", "").exitStatus());
    assertFails(ErrorCode.NOT_FOUND, "no container", () -> manager.kill(NS, "web", "", 9, false));
    assertEquals(3, manager.delete(NS, "web", "").exitStatus());
    assertEquals(List.of("Created", "Started", "Exited", "Deleted"), eventNames());
    assertEquals(3, manager.destroy(NS, "web").exitStatus());
    assertFails(ErrorCode.NOT_FOUND, "no container web", () -> manager.state(NS, "web", ""));
    assertFails(ErrorCode.NOT_FOUND, "no container web", () -> manager.delete(NS, "web", ""));
  }

  @Test
  void twoClientsMayWait() throws Exception {
    create();
    manager.start(NS, "web", "");
    List<CompletableFuture<ProcessState>> waits = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      CompletableFuture<ProcessState> ended = new CompletableFuture<>();
      waits.add(ended);
      Thread.startVirtualThread(
          () -> {
            try {
              ended.complete(manager.await(NS, "web", ""));
            } catch (Exception e) {
              ended.completeExceptionally(e);
            }
          });
    }
    assertThrows(TimeoutException.class, () -> waits.get(0).get(50, TimeUnit.MILLISECONDS));
    sandbox.end("web", "", 7);
    for (CompletableFuture<ProcessState> wait : waits) {
      assertEquals(7, wait.get(30, TimeUnit.SECONDS).exitStatus());
    }
  }

  @Test
  void aHostWithoutThreadsLeavesNothingOfACreation() {
    connectFailure = new OutOfMemoryError("unable to create native thread");
    assertThrows(OutOfMemoryError.class, this::create);
    assertTrue(sandbox.closed);
    assertFails(ErrorCode.NOT_FOUND, "no container web", () -> manager.destroy(NS, "web"));
    connectFailure = null;
    assertTrue(create() > 0);
  }

  @Test
  void theNetworkIsAttachedAtTheFirstStartAndLeftWithTheSandbox() throws Exception {
    network.interfaces.add("eth0");
    int pid = create();
    assertTrue(network.calls.isEmpty(), "plugins may not have run yet");
    manager.start(NS, "web", "");
    manager.exec(NS, "web", "ls", EXEC, NO_STDIO);
    manager.start(NS, "web", "ls");
    sandbox.end("web", "ls", 0);
    sandbox.end("web", "", 0);
    assertEquals(0, manager.await(NS, "web", "").exitStatus());
    manager.delete(NS, "web", "");
    String namespace = "/proc/" + pid + "/ns/net";
    assertEquals(List.of(NS + ":web " + namespace, "closed"), network.calls);
    assertEquals(List.of("eth0"), sandbox.nics);
  }

  @Test
  void aContainerDoesNotStartWithoutItsNetwork() {
    network.failure = RundException.precondition("eth0: cannot make a tap");
    create();
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "eth0: cannot make a tap",
        () -> manager.start(NS, "web", ""));
    assertEquals(ProcessState.Status.CREATED, manager.state(NS, "web", "").status());
  }

  @Test
  void aLifeIsReportedInOrderAndLeavesNothing() throws Exception {
    int pid = create();
    assertTrue(Files.exists(Path.of("/proc/" + pid)));
    assertEquals(ProcessState.Status.CREATED, manager.state(NS, "web", "").status());
    manager.start(NS, "web", "");
    manager.exec(NS, "web", "ls", EXEC, NO_STDIO);
    manager.start(NS, "web", "ls");
    sandbox.end("web", "ls", 7);
    assertEquals(7, manager.await(NS, "web", "ls").exitStatus());
    manager.delete(NS, "web", "ls");
    sandbox.end("web", "", 0);
    assertEquals(0, manager.await(NS, "web", "").exitStatus());
    ProcessState last = manager.delete(NS, "web", "");
    assertEquals(42, last.exitedAtNanos());
    assertEquals(
        List.of("Created", "Started", "ExecAdded", "ExecStarted", "Exited", "Exited", "Deleted"),
        eventNames());
    assertTrue(sandbox.closed);
    assertFalse(Files.exists(Path.of("/proc/" + pid)));
    assertTrue(manager.list().isEmpty());
  }

  @Test
  void aProcessThatEndsBeforeItsStartIsAnsweredHasStartedFirst() throws Exception {
    create();
    sandbox.endsAtOnce = true;
    manager.start(NS, "web", "");
    assertEquals(3, manager.await(NS, "web", "").exitStatus());
    assertEquals(List.of("Created", "Started", "Exited"), eventNames());
  }

  @Test
  void anExecThatCannotStartSaysWhyAndCanBeDeleted() throws Exception {
    create();
    manager.start(NS, "web", "");
    manager.exec(NS, "web", "ls", EXEC, NO_STDIO);
    sandbox.startFailure = RundException.invalid("exec: \"ls\": not found");
    assertFails(
        ErrorCode.INVALID_ARGUMENT, "\"ls\": not found", () -> manager.start(NS, "web", "ls"));
    // containerd waits before it starts, and has no way to take that back.
    CompletableFuture<ProcessState> wait = new CompletableFuture<>();
    Thread waiting =
        Thread.startVirtualThread(
            () -> awaitUnchecked(() -> wait.complete(manager.await(NS, "web", "ls"))));
    eventually(() -> waiting.getState() == Thread.State.WAITING);
    manager.delete(NS, "web", "ls");
    assertEquals(ProcessState.Status.STOPPED, wait.get().status());
    assertFails(ErrorCode.NOT_FOUND, "no exec ls", () -> manager.state(NS, "web", "ls"));
    assertEquals(List.of("Created", "Started", "ExecAdded"), eventNames());
  }

  @Test
  void whatIsNotThereIsNotFoundAndWhatRunsIsNotDeleted() throws Exception {
    assertFails(ErrorCode.NOT_FOUND, "no container web", () -> manager.start(NS, "web", ""));
    create();
    assertFails(ErrorCode.ALREADY_EXISTS, "web exists already", this::create);
    assertFails(ErrorCode.NOT_FOUND, "no container web", () -> manager.state("other", "web", ""));
    manager.start(NS, "web", "");
    assertFails(
        ErrorCode.FAILED_PRECONDITION, "it is running", () -> manager.delete(NS, "web", ""));
    assertFails(ErrorCode.FAILED_PRECONDITION, "it is running", () -> manager.start(NS, "web", ""));
    manager.kill(NS, "web", "", 9, false);
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    assertFails(
        ErrorCode.NOT_FOUND, "already finished", () -> manager.kill(NS, "web", "", 9, false));
  }

  @Test
  void aKilledAnchorEndsItsSandbox() throws Exception {
    int pid = create();
    manager.start(NS, "web", "");
    assertEquals(0, new ProcessBuilder("kill", "-9", "" + pid).start().waitFor());
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    eventually(() -> sandbox.closed);
    manager.delete(NS, "web", "");
    assertEquals(List.of("Created", "Started", "Exited", "Deleted"), eventNames());
  }

  @Test
  void aGuestThatDoesNotAnswerCanBeKilledAndOnlyThat() throws Exception {
    startWithExec();
    sandbox.signalFailure = new RundException(ErrorCode.DEADLINE_EXCEEDED, "no answer");
    manager.kill(NS, "web", "", 15, false);
    manager.kill(NS, "web", "ls", 9, false);
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "web", "").status());
    assertFalse(sandbox.closed);
    manager.kill(NS, "web", "", 9, false);
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    eventually(() -> sandbox.closed);
    manager.delete(NS, "web", "");
    assertEquals("Deleted", eventNames().getLast());
  }

  @Test
  void aGuestThatSaysThatItKillsAndDoesNotIsEnded() throws Exception {
    create();
    manager.start(NS, "web", "");
    manager.container(NS, "web").process("").expectEnd(Duration.ofMillis(20));
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    eventually(() -> sandbox.closed);
  }

  @Test
  void aGuestThatDoesNotTellOfAnEndHasCausedIt() throws Exception {
    startWithExec();
    sandbox.loseTrackOf("web", "ls");
    assertEquals(137, manager.await(NS, "web", "ls").exitStatus());
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "web", "").status());
    sandbox.loseTrackOf("web", "");
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    eventually(() -> sandbox.closed);
  }

  /** Its file systems would be cut off with what was not written yet. */
  @Test
  void aContainerThatRunsLeavesItsGuestBeforeItsVmEnds() throws Exception {
    create();
    manager.start(NS, "web", "");
    sandbox.busy.set(2);
    assertEquals(137, manager.destroy(NS, "web").exitStatus());
    assertEquals(Set.of(), sandbox.inGuest);
    assertTrue(sandbox.closed);
  }

  @Test
  void aContainerInWhichAnExecJustStartsLeavesItsGuestToo() throws Exception {
    create();
    manager.start(NS, "web", "");
    sandbox.end("web", "", 3);
    assertEquals(3, manager.await(NS, "web", "").exitStatus());
    sandbox.busy.set(3);
    assertEquals(3, manager.delete(NS, "web", "").exitStatus());
    assertEquals(Set.of(), sandbox.inGuest);
  }

  @Test
  void nothingStartsInASandboxThatHasEnded() throws Exception {
    create();
    manager.start(NS, "web", "");
    manager.exec(NS, "web", "ls", EXEC, NO_STDIO);
    sandbox.onStart =
        () -> {
          sandbox.vmFails("KVM_EXIT_INTERNAL_ERROR");
          awaitUnchecked(() -> manager.await(NS, "web", "ls"));
        };
    assertFails(ErrorCode.FAILED_PRECONDITION, "exec ls", () -> manager.start(NS, "web", "ls"));
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "it has ended",
        () -> manager.exec(NS, "web", "ps", EXEC, NO_STDIO));
  }

  private static void awaitUnchecked(Callable<?> call) {
    try {
      var _ = call.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aVmThatFailsEndsEveryProcess() throws Exception {
    startWithExec();
    sandbox.vmFails("KVM_EXIT_INTERNAL_ERROR");
    assertEquals(137, manager.await(NS, "web", "").exitStatus());
    assertEquals(
        List.of("Created", "Started", "ExecAdded", "ExecStarted", "Exited", "Exited"),
        eventNames());
  }

  @Test
  void aContainerThatCannotBeCreatedLeavesNothing() throws Exception {
    sandbox.createFailure = RundException.invalid("mounting /dev/vda as ext4: Invalid argument");
    assertFails(ErrorCode.INVALID_ARGUMENT, "mounting /dev/vda as ext4", this::create);
    assertTrue(sandbox.closed);
    assertTrue(manager.list().isEmpty());
    assertTrue(events.isEmpty());
    assertTrue(
        ProcessHandle.current()
            .children()
            .noneMatch(
                child ->
                    child.info().command().orElse("").equals(NativeBinaries.ANCHOR.toString())));
  }

  @Test
  void aMemoryLimitThatIsTooSmallIsRefusedWithTheLeastThatIsNot() throws Exception {
    spec("\"resources\": {\"memory\": {\"limit\": 1048576}},");
    assertFails(ErrorCode.INVALID_ARGUMENT, "below 8388608", this::create);
  }

  @Test
  void directoriesAsARootFileSystemAreShared() throws Exception {
    Path image = Files.createDirectory(bundle.resolve("image"));
    Files.writeString(image.resolve("file"), "content");
    manager.create(request(new RootfsMount("bind", image.toString(), "", List.of("rbind", "ro"))));
    assertEquals(List.of("web-rootfs ro ALWAYS"), sandbox.shares);
    assertEquals(new GuestAgent.SharedRootfs("web-rootfs"), sandbox.createdRootfs);
    assertEquals("content", Files.readString(sandbox.shared("web-rootfs").resolve("file")));
  }

  @Test
  void aReadOnlyRootFileSystemIsWritableUntilTheContainerIsCreated() throws Exception {
    Path image = Files.createDirectory(bundle.resolve("rootfs"));
    spec("", "\"root\": {\"path\": \"rootfs\", \"readonly\": true}, ");
    manager.create(request());
    assertEquals(List.of("web-rootfs rw ALWAYS"), sandbox.shares);
    Path shared = sandbox.shared("web-rootfs");
    assertThrows(FileSystemException.class, () -> Files.createFile(shared.resolve("new")));
    Files.createFile(image.resolve("new"));
    assertTrue(Files.exists(shared.resolve("new")));
  }

  @Test
  void aRootFileSystemThatIsMissingIsNamed() {
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "cannot use the directory /no/such/place as root file system: [2] No such file",
        () ->
            manager.create(
                request(new RootfsMount("bind", "/no/such/place", "", List.of("rbind")))));
  }
}
