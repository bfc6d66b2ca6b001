package io.rund.shim;

import io.rund.agent.VsockAgentConnector;
import io.rund.core.config.RundConfig;
import io.rund.core.config.RundConfig.Isolation;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.linux.EventLoop;
import io.rund.core.sandbox.SandboxManager;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.network.CniNetwork;
import io.rund.shim.containerd.EventPublisher;
import io.rund.shim.containerd.SandboxService;
import io.rund.shim.containerd.TaskService;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.FileLock;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The composition root: everything an engine is made of, and its end. */
final class Engine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Engine.class);

  /** An engine of one sandbox has no next one to wait for; containerd may be slow to connect. */
  private static final Duration LONE_IDLE_TIMEOUT = Duration.ofSeconds(30);

  private final EngineOptions options;
  private final RundConfig config;
  private final EventLoop loop;
  private final EventPublisher events;
  private final SandboxManager containers;
  private final EngineService service;

  private final TtrpcServer server;

  /** Held from when the engine leaves. Without this its channel would be closed as garbage. */
  @SuppressWarnings("UnusedVariable")
  private FileLock lock;

  /**
   * Starts to serve.
   *
   * @throws RundException UNAVAILABLE if another process has the socket
   */
  Engine(EngineOptions options, RundConfig config, Hypervisor hypervisor) {
    this.options = options;
    this.config = config;
    removeStale(options.socket());
    loop = new EventLoop("anchors");
    events = new EventPublisher(options.containerdTtrpc());
    containers =
        new SandboxManager(
            hypervisor,
            new VsockAgentConnector(Version.current()),
            new CniNetwork(),
            loop,
            config,
            events);
    service = new EngineService(containers);
    server =
        new TtrpcServer(
            options.socket(),
            Stream.concat(
                    TaskService.over(containers, Version.current()).stream(),
                    Stream.of(SandboxService.over(containers), service.service()))
                .toList());
  }

  /** A socket on which nobody listens was left by an engine that was killed. */
  static void removeStale(Path socket) {
    try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      throw new RundException(
          ErrorCode.UNAVAILABLE,
          "%s is served by another process, an engine that was quicker".formatted(socket));
    } catch (ConnectException e) {
      remove(socket);
    } catch (IOException e) {
      if (Files.exists(socket, LinkOption.NOFOLLOW_LINKS)) {
        throw RundException.unavailable("cannot use the socket %s: %s".formatted(socket, e), e);
      }
    }
  }

  private static void remove(Path socket) {
    try {
      if (!Files.readAttributes(socket, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
          .isOther()) {
        throw RundException.unavailable(socket + " is in the way and no socket: remove it", null);
      }
      Files.delete(socket);
    } catch (IOException e) {
      throw RundException.unavailable("cannot remove the stale socket " + socket, e);
    }
  }

  /** The launcher is told that the engine is ready, and sends containerd here. */
  void expectContainerd() {
    service.greeted();
  }

  /** Returns when the engine is of no more use to anybody, and nobody can come to it. */
  void awaitIdle() throws InterruptedException {
    Duration timeout =
        config.isolation() == Isolation.SANDBOX ? LONE_IDLE_TIMEOUT : config.idleTimeout();
    IdleWatch watch =
        new IdleWatch(server, service::helloNanos, () -> !containers.isIdle(), timeout);
    lock = watch.await(options.lock());
    log.info("no sandbox and no request for {} s: leaving", timeout.toSeconds());
  }

  /** Ends every sandbox, tells containerd, and closes what is left. */
  @Override
  public void close() {
    server.stopListening();
    containers.close();
    events.close();
    server.close();
    loop.close();
    log.info("the engine has ended");
  }
}
