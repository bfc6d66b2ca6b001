package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.error.RundException;
import io.rund.core.linux.ChildProcess;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Pipe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The process that gives a sandbox a pid on the host (native/anchor): it sits in the pod's network
 * namespace and cgroup and waits. It ends when the engine dies, because the engine holds the only
 * write end of its stdin; when it is killed, {@link #exited()} tells the engine.
 *
 * <p>{@link #start} and {@link #close} block for a moment and may be called from any thread but the
 * loop's.
 */
public final class Anchor implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Anchor.class);

  /** Far beyond what a loaded machine needs to start or to reap a process. */
  private static final long PATIENCE_SECONDS = 60;

  private static final int STATUS_LIMIT = 8192;

  private final ChildProcess process;
  private final Fd lifeline;
  private final Optional<Path> cgroup;

  private Anchor(ChildProcess process, Fd lifeline, Optional<Path> cgroup) {
    this.process = process;
    this.lifeline = lifeline;
    this.cgroup = cgroup;
  }

  /**
   * Starts an anchor and waits until it is in place.
   *
   * @param binary path of rund-anchor
   * @param cgroup directory of cgroup v2 that the anchor makes (with its parents) and enters; the
   *     directory itself goes with the anchor
   * @throws RundException naming the namespace or cgroup that cannot be entered
   */
  public static Anchor start(
      EventLoop loop, Path binary, String id, NetworkNamespace netns, Optional<Path> cgroup) {
    List<String> command =
        List.of(binary.toString(), id, argument(netns), cgroup.map(Path::toString).orElse("-"));
    List<Pipe> pipes = Pipe.open(2);
    Pipe input = pipes.getFirst();
    Pipe status = pipes.getLast();
    ChildProcess process;
    try {
      process = ChildProcess.spawn(loop, command, input.readEnd(), status.writeEnd());
    } catch (LastErrorException e) {
      pipes.forEach(Pipe::close);
      throw RundException.internal(
          "cannot start " + binary + " (" + e.getMessage() + "); is rund completely installed?", e);
    }
    input.readEnd().close();
    status.writeEnd().close();
    Anchor anchor = new Anchor(process, input.writeEnd(), cgroup);
    try {
      awaitReady(id, status.readToEnd(loop, STATUS_LIMIT));
      return anchor;
    } catch (Throwable t) {
      anchor.close();
      throw t;
    }
  }

  private static String argument(NetworkNamespace netns) {
    return switch (netns) {
      case NetworkNamespace.Host() -> "-";
      case NetworkNamespace.Fresh() -> "new";
      case NetworkNamespace.Existing(Path path) -> path.toString();
    };
  }

  private static void awaitReady(String id, CompletableFuture<String> status) {
    String text = await(status, "the anchor of " + id + " to get ready");
    if (!text.startsWith("\0")) {
      throw RundException.precondition(
          "cannot start sandbox " + id + ": " + (text.isEmpty() ? "its anchor was killed" : text));
    }
  }

  private static <T> T await(CompletableFuture<T> future, String what) {
    try {
      return future.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.internal("interrupted while waiting for " + what, e);
    } catch (ExecutionException | TimeoutException e) {
      throw RundException.internal("waited in vain for " + what, e);
    }
  }

  /** The sandbox's pid on the host. */
  public int pid() {
    return process.pid();
  }

  /** Completes on the loop's thread when the anchor has ended, for whatever reason. */
  public CompletableFuture<Void> exited() {
    return process.exited();
  }

  /** Ends the anchor, reaps it and removes its cgroup. Idempotent. */
  @Override
  public void close() {
    lifeline.close();
    process.kill();
    await(process.exited(), "the anchor with pid " + pid() + " to end");
    cgroup.ifPresent(Anchor::removeCgroup);
  }

  private static void removeCgroup(Path directory) {
    try {
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      log.warn(
          "cannot remove cgroup {}: {}; other processes may be in it", directory, e.toString());
    }
  }
}
