package io.rund.core.stdio;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.ChildProcess;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.core.linux.Pipe;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Output that a logging program takes, as containerd's shims start one
 * (cmd/containerd-shim-runc-v2/ process/io.go and core/runtime/v2/logging of containerd):
 * descriptor 3 is the process's stdout, 4 its stderr, and 5 is closed by the program when it is
 * ready; CONTAINER_ID and CONTAINER_NAMESPACE are its whole environment, and the keys and values of
 * the URI's query its arguments. It is expected to leave at the end of both streams, and told to at
 * the latest when the process is deleted.
 */
final class BinaryLog implements LogTarget {
  private static final int FIRST_FD = 3;
  private static final long READY_SECONDS = 60;

  /** What containerd gives a logging program between SIGTERM and SIGKILL. */
  private static final long TERMINATION_SECONDS = 12;

  private final String program;
  private final Pipe stdout;
  private final Pipe stderr;
  private final ChildProcess process;

  private BinaryLog(String program, Pipe stdout, Pipe stderr, ChildProcess process) {
    this.program = program;
    this.stdout = stdout;
    this.stderr = stderr;
    this.process = process;
  }

  /** Starts the program and waits until it is ready. */
  static BinaryLog start(EventLoop loop, Owner owner, URI uri, boolean terminal) {
    List<Pipe> pipes = Pipe.open(3);
    Pipe stdout = pipes.get(0);
    Pipe stderr = pipes.get(1);
    Pipe ready = pipes.get(2);
    BinaryLog target;
    try (Fd none = Fd.open("/dev/null", Linux.O_RDWR)) {
      target =
          new BinaryLog(
              uri.getPath(),
              stdout,
              stderr,
              ChildProcess.spawn(
                  loop,
                  command(uri),
                  List.of(
                      "CONTAINER_ID=" + owner.containerId(),
                      "CONTAINER_NAMESPACE=" + owner.namespace()),
                  Map.of(
                      0,
                      none,
                      1,
                      none,
                      2,
                      none,
                      FIRST_FD,
                      stdout.readEnd(),
                      FIRST_FD + 1,
                      stderr.readEnd(),
                      FIRST_FD + 2,
                      ready.writeEnd())));
    } catch (LastErrorException e) {
      pipes.forEach(Pipe::close);
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT,
          "cannot start the logging program %s: %s".formatted(uri.getPath(), e.getMessage()),
          e);
    }
    stdout.readEnd().close();
    stderr.readEnd().close();
    ready.writeEnd().close();
    if (terminal) {
      // A terminal has one output; the program sees the end of the other at once.
      stderr.writeEnd().close();
    }
    try (Fd readEnd = ready.readEnd()) {
      target.awaitReady(loop, readEnd);
      return target;
    } catch (RuntimeException e) {
      target.close();
      throw e;
    }
  }

  private static List<String> command(URI uri) {
    List<String> command = new ArrayList<>(List.of(uri.getPath()));
    Map<String, String> query = new LinkedHashMap<>();
    String text = uri.getRawQuery() == null ? "" : uri.getRawQuery();
    for (String pair : text.split("&", -1)) {
      if (!pair.isEmpty()) {
        int equals = pair.indexOf('=');
        query.putIfAbsent(
            decode(equals < 0 ? pair : pair.substring(0, equals)),
            equals < 0 ? "" : decode(pair.substring(equals + 1)));
      }
    }
    query.forEach((key, value) -> command.addAll(List.of(key, value)));
    return command;
  }

  private static String decode(String text) {
    try {
      return URLDecoder.decode(text, StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw RundException.invalid("\"%s\" in a binary:// URI: %s".formatted(text, e.getMessage()));
    }
  }

  /** A byte or the end: containerd's shims take either. */
  private void awaitReady(EventLoop loop, Fd readEnd) {
    CompletableFuture<Void> readable = new CompletableFuture<>();
    EventLoop.Registration[] registration = new EventLoop.Registration[1];
    loop.execute(
        () ->
            registration[0] =
                loop.register(
                    readEnd.number(),
                    Linux.EPOLLIN,
                    events -> {
                      registration[0].close();
                      readable.complete(null);
                    }));
    try {
      var _ = readable.get(READY_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      unregister(loop, registration);
      throw new RundException(
          ErrorCode.DEADLINE_EXCEEDED,
          "the logging program %s was not ready after %d s: it has to close its descriptor 5"
              .formatted(program, READY_SECONDS),
          e);
    } catch (InterruptedException e) {
      unregister(loop, registration);
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while " + program + " started", e);
    } catch (ExecutionException e) {
      throw new AssertionError("never completed exceptionally", e);
    }
  }

  /** Waits for the loop: the descriptor is closed next. */
  private static void unregister(EventLoop loop, EventLoop.Registration[] registration) {
    CompletableFuture.runAsync(() -> registration[0].close(), loop).join();
  }

  @Override
  public Fifo stdout() {
    return Fifo.ofPipe(program, stdout.writeEnd());
  }

  @Override
  public Fifo stderr() {
    return Fifo.ofPipe(program, stderr.writeEnd());
  }

  @Override
  public CompletableFuture<Void> done() {
    return process.exited();
  }

  @Override
  public void close() {
    stdout.writeEnd().close();
    stderr.writeEnd().close();
    if (!process.exited().isDone()) {
      process.signal(Linux.SIGTERM);
      CompletableFuture.delayedExecutor(TERMINATION_SECONDS, TimeUnit.SECONDS)
          .execute(process::kill);
    }
  }
}
