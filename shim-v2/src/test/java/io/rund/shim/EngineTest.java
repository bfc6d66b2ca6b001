package io.rund.shim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.containerd.FakeContainers;
import io.rund.shim.wire.engine.DestroyRequest;
import io.rund.shim.wire.engine.DestroyResponse;
import io.rund.shim.wire.engine.HelloRequest;
import io.rund.shim.wire.engine.HelloResponse;
import io.rund.shim.wire.engine.ListRequest;
import io.rund.shim.wire.engine.ListResponse;
import io.rund.shim.wire.task.DeleteResponse;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.FileLock;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EngineTest {
  @TempDir Path folder;
  private Path socket;

  @BeforeEach
  void name() {
    socket = folder.resolve("engine.sock");
  }

  private Engine engine() throws Exception {
    Path config = Files.writeString(folder.resolve("rund.toml"), "idle_timeout = \"1s\"\n");
    EngineOptions options =
        EngineOptions.parse(
            "--socket",
            socket.toString(),
            "--containerd-ttrpc",
            folder.resolve("containerd.sock.ttrpc").toString(),
            "--config",
            config.toString(),
            "--log",
            folder.resolve("engine.log").toString());
    assertEquals(-1, options.readyFd());
    return new Engine(
        options,
        RundConfig.read(config, folder),
        vm -> {
          throw RundException.unavailable("no VMs in this test", null);
        });
  }

  private HelloResponse hello() throws Exception {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      return connection
          .client()
          .call(
              "rund.v1.Engine",
              "Hello",
              HelloRequest.getDefaultInstance(),
              HelloResponse.parser(),
              null)
          .get();
    }
  }

  @Test
  void aSocketThatAKilledEngineLeftIsReplaced() throws Exception {
    try (ServerSocketChannel left = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      left.bind(UnixDomainSocketAddress.of(socket));
    }
    assertTrue(Files.exists(socket));
    try (Engine _ = engine()) {
      assertEquals(ProcessHandle.current().pid(), hello().getPid());
    }
    assertFalse(Files.exists(socket));
  }

  @Test
  void aSocketThatAnotherProcessServesIsNot() throws Exception {
    try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(socket));
      RundException e = assertThrows(RundException.class, () -> engine().close());
      assertEquals(ErrorCode.UNAVAILABLE, e.code());
      assertTrue(e.getMessage().contains(socket + " is served by another process"));
    }
    Files.delete(socket);
    Files.createFile(socket);
    RundException e = assertThrows(RundException.class, () -> engine().close());
    assertTrue(e.getMessage().contains("no socket"), e.getMessage());
  }

  @Test
  void itLeavesWhenIdle() throws Exception {
    long began = System.nanoTime();
    try (Engine engine = engine()) {
      engine.awaitIdle();
      assertTrue(System.nanoTime() - began >= Duration.ofMillis(900).toNanos());
    }
  }

  @Test
  void requestsAndSandboxesKeepItFromLeaving() throws Exception {
    AtomicBoolean sandboxes = new AtomicBoolean(true);
    EngineService service = new EngineService(new FakeContainers());
    try (TtrpcServer server = new TtrpcServer(socket, List.of(service.service()))) {
      CompletableFuture<FileLock> left = leaving(server, service, sandboxes::get);
      assertThrows(TimeoutException.class, () -> left.get(1, TimeUnit.SECONDS));
      list();
      sandboxes.set(false);
      for (int i = 0; i < 15; i++) {
        list();
        Thread.sleep(100);
        assertFalse(left.isDone());
      }
      assertTrue(left.get(10, TimeUnit.SECONDS).isValid());
    }
  }

  /** Between a launcher's Hello and containerd's first request there may be seconds. */
  @Test
  void whoWasSentHereIsWaitedFor() throws Exception {
    EngineService service = new EngineService(new FakeContainers());
    try (TtrpcServer server = new TtrpcServer(socket, List.of(service.service()))) {
      var _ = hello();
      CompletableFuture<FileLock> left = leaving(server, service, () -> false);
      assertThrows(TimeoutException.class, () -> left.get(2, TimeUnit.SECONDS));
      list();
      assertTrue(left.get(10, TimeUnit.SECONDS).isValid());
    }
  }

  /** The launcher that starts an engine says no Hello, and sends containerd all the same. */
  @Test
  void whoIsSentToANewEngineIsWaitedFor() throws Exception {
    try (Engine engine = engine()) {
      engine.expectContainerd();
      CompletableFuture<Void> left = new CompletableFuture<>();
      Thread.startVirtualThread(
          () -> {
            try {
              engine.awaitIdle();
              left.complete(null);
            } catch (InterruptedException e) {
              left.completeExceptionally(e);
            }
          });
      assertThrows(TimeoutException.class, () -> left.get(3, TimeUnit.SECONDS));
      list();
      left.get(10, TimeUnit.SECONDS);
    }
  }

  private CompletableFuture<FileLock> leaving(
      TtrpcServer server, EngineService service, BooleanSupplier hasSandboxes) {
    IdleWatch watch =
        new IdleWatch(server, service::helloNanos, hasSandboxes, Duration.ofSeconds(1));
    CompletableFuture<FileLock> left = new CompletableFuture<>();
    Thread.startVirtualThread(
        () -> {
          try {
            left.complete(watch.await(folder.resolve("engine.lock")));
          } catch (InterruptedException e) {
            left.completeExceptionally(e);
          }
        });
    return left;
  }

  private void list() throws Exception {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      var _ =
          connection
              .client()
              .call(
                  "rund.v1.Engine",
                  "List",
                  ListRequest.getDefaultInstance(),
                  ListResponse.parser(),
                  null)
              .get();
    }
  }

  @Test
  void destroyOfAnUnknownContainerSaysThatItWasKilled() throws Exception {
    try (TtrpcServer _ =
            new TtrpcServer(socket, List.of(new EngineService(new FakeContainers()).service()));
        TtrpcSocket connection = new TtrpcSocket(socket)) {
      DestroyRequest request =
          DestroyRequest.newBuilder()
              .setNamespace("default")
              .setId("lost")
              .setBundle(folder.resolve("no-bundle").toString())
              .build();
      DestroyResponse response =
          connection
              .client()
              .call("rund.v1.Engine", "Destroy", request, DestroyResponse.parser(), null)
              .get();
      DeleteResponse deleted = DeleteResponse.parseFrom(response.getDeleteResponse());
      assertEquals(137, deleted.getExitStatus());
      assertTrue(deleted.getExitedAt().getSeconds() > 1_600_000_000L);
    }
  }

  @Test
  void optionsAreChecked() {
    RundException missing =
        assertThrows(RundException.class, () -> EngineOptions.parse("--socket", "/s"));
    assertTrue(missing.getMessage().contains("is missing"), missing.getMessage());
    RundException unknown =
        assertThrows(RundException.class, () -> EngineOptions.parse("--what", "x"));
    assertTrue(unknown.getMessage().contains("--what"), unknown.getMessage());
  }
}
