package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AnchorTest {
  private static final NetworkNamespace HOST = new NetworkNamespace.Host();

  private EventLoop loop;

  @BeforeAll
  static void build() throws Exception {
    NativeBinaries.build();
  }

  @BeforeEach
  void startLoop() {
    loop = new EventLoop("anchor-test");
  }

  @AfterEach
  void stopLoop() {
    loop.close();
  }

  private Anchor start(String id) {
    return Anchor.start(loop, NativeBinaries.ANCHOR, id, HOST, Optional.empty());
  }

  private static boolean exists(int pid) {
    return Files.exists(Path.of("/proc", Integer.toString(pid)));
  }

  private static void awaitGone(int pid) throws InterruptedException {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (exists(pid)) {
      assertTrue(System.nanoTime() < deadline, "process " + pid + " is still there");
      Thread.sleep(10);
    }
  }

  @Test
  void isSeenByItsNameAndSharesTheNetworkThatItWasGiven() throws IOException {
    try (Anchor anchor = start("web")) {
      Path proc = Path.of("/proc", Integer.toString(anchor.pid()));
      assertEquals("rund:web", Files.readString(proc.resolve("comm")).strip());
      assertEquals(
          Files.readSymbolicLink(Path.of("/proc/self/ns/net")),
          Files.readSymbolicLink(proc.resolve("ns/net")));
      assertFalse(anchor.exited().isDone());
    }
  }

  @Test
  void keepsNothingOfTheEngineOpen() throws IOException {
    try (Anchor anchor = start("tidy");
        Stream<Path> fds = Files.list(Path.of("/proc/" + anchor.pid() + "/fd"))) {
      assertEquals(List.of("0", "2"), fds.map(fd -> fd.getFileName().toString()).sorted().toList());
    }
  }

  @Test
  void tellsWhenItIsKilled() throws Exception {
    try (Anchor anchor = start("victim")) {
      Libc.kill(anchor.pid(), Linux.SIGKILL);
      anchor.exited().get(20, TimeUnit.SECONDS);
      assertFalse(exists(anchor.pid()), "killed anchor was not reaped");
    }
  }

  @Test
  void terminalSignalsDoNotEndIt() throws Exception {
    int interrupt = 2;
    int terminate = 15;
    try (Anchor anchor = start("steady")) {
      Libc.kill(anchor.pid(), interrupt);
      Libc.kill(anchor.pid(), 0);
      assertThrows(
          java.util.concurrent.TimeoutException.class,
          () -> anchor.exited().get(100, TimeUnit.MILLISECONDS));
      Libc.kill(anchor.pid(), terminate);
      anchor.exited().get(20, TimeUnit.SECONDS);
    }
  }

  @Test
  void closingLeavesNeitherProcessesNorDescriptors() throws IOException {
    start("first").close();
    long before = openDescriptors();
    List<Anchor> anchors = IntStream.range(0, 20).mapToObj(i -> start("many" + i)).toList();
    anchors.forEach(Anchor::close);
    anchors.forEach(Anchor::close);
    assertEquals(before, openDescriptors());
    anchors.forEach(anchor -> assertFalse(exists(anchor.pid())));
  }

  @Test
  void namesTheNetworkNamespaceThatCannotBeJoined() throws IOException {
    start("first").close();
    long before = openDescriptors();
    NetworkNamespace missing = new NetworkNamespace.Existing(Path.of("/nonexistent/netns"));
    RundException failure =
        assertThrows(
            RundException.class,
            () -> Anchor.start(loop, NativeBinaries.ANCHOR, "lost", missing, Optional.empty()));
    assertEquals(ErrorCode.FAILED_PRECONDITION, failure.code());
    assertTrue(
        failure.getMessage().contains("/nonexistent/netns: No such file"), failure::getMessage);
    assertEquals(before, openDescriptors());
  }

  @Test
  void namesTheBinaryThatCannotBeStarted() {
    Path missing = Path.of("/nonexistent/rund-anchor");
    RundException failure =
        assertThrows(
            RundException.class, () -> Anchor.start(loop, missing, "lost", HOST, Optional.empty()));
    assertTrue(failure.getMessage().contains(missing.toString()), failure::getMessage);
  }

  @Test
  void endsWithTheEngine() throws Exception {
    List<String> engine =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            AnchorHolder.class.getName(),
            NativeBinaries.ANCHOR.toString());
    Process process = new ProcessBuilder(engine).start();
    int anchor;
    try (var reader = process.inputReader()) {
      anchor = Integer.parseInt(reader.readLine());
      assertTrue(exists(anchor));
      process.destroyForcibly().waitFor();
    }
    awaitGone(anchor);
  }

  /**
   * Plays the engine in a JVM of its own: starts an anchor, prints its pid and waits to be killed.
   */
  static final class AnchorHolder {
    private AnchorHolder() {}

    @SuppressWarnings("try") // the anchor is to outlive everything but this process
    public static void main(String[] arguments) throws InterruptedException {
      EventLoop loop = new EventLoop("engine");
      Anchor anchor = Anchor.start(loop, Path.of(arguments[0]), "orphan", HOST, Optional.empty());
      System.out.println(anchor.pid());
      Thread.sleep(Duration.ofMinutes(5));
    }
  }

  private static long openDescriptors() throws IOException {
    try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"))) {
      return fds.count();
    }
  }
}
