package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A network namespace that is kept alive by a descriptor. A thread that has gone into one does not
 * come back: it ends.
 */
final class Namespace implements AutoCloseable {
  private final Path path;
  private final Fd fd;

  private Namespace(Path path, Fd fd) {
    this.path = path;
    this.fd = fd;
  }

  /**
   * @throws RundException FAILED_PRECONDITION if there is none at {@code path}
   */
  static Namespace open(Path path) {
    try {
      return new Namespace(path, Fd.open(path.toString(), Linux.O_RDONLY));
    } catch (LastErrorException e) {
      throw RundException.precondition(
          "cannot open the network namespace %s: %s".formatted(path, e.getMessage()));
    }
  }

  /** Whether it is the one that this process, or the host's first one, is in. */
  boolean isHosts() {
    Path opened = Path.of("/proc/self/fd/" + fd.number());
    return Stream.of("/proc/self/ns/net", "/proc/1/ns/net")
        .anyMatch(own -> isSame(opened, Path.of(own)));
  }

  private static boolean isSame(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException e) {
      // A container's first process may be another user's.
      return false;
    }
  }

  /** The descriptor, for as long as this is open. */
  Fd descriptor() {
    return fd;
  }

  /** Runs {@code task} on a platform thread of its own in the namespace, and waits for it. */
  <T> T call(Supplier<T> task) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Thread.ofPlatform()
        .name("netns")
        .daemon()
        .start(
            () -> {
              try {
                enter();
                result.complete(task.get());
              } catch (Throwable t) {
                result.completeExceptionally(t);
              }
            });
    try {
      return result.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RundException cause) {
        throw new RundException(cause.code(), cause.getMessage(), cause);
      }
      throw RundException.internal(
          "in the network namespace %s: %s".formatted(path, e.getCause()), e);
    }
  }

  private void enter() {
    try {
      Libc.setns(fd.number(), Linux.CLONE_NEWNET);
    } catch (LastErrorException e) {
      throw RundException.internal(
          "cannot enter the network namespace %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  @Override
  public void close() {
    fd.close();
  }
}
