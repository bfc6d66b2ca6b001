package io.rund.core.stdio;

import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Where output goes that is not for a client's FIFO: {@code file:///path} or {@code
 * binary:///program?key=value}, as containerd's clients name it (pkg/cio of containerd, LogURI).
 * One target serves both outputs of a process; each takes an end of it.
 */
sealed interface LogTarget permits FileLog, BinaryLog {
  /** The engine's end for one output, owned by the caller. Called once for each. */
  Fifo stdout();

  Fifo stderr();

  /** Completes when all that was written before both ends were closed has been dealt with. */
  CompletableFuture<Void> done();

  /** Ends what does not end by itself once the ends are closed. Does not wait; idempotent. */
  void close();

  /** Whose output it is: what a logging program is told. */
  record Owner(String namespace, String containerId) {}

  /**
   * The target that {@code path} names, started; empty for a FIFO, which has no scheme, or {@code
   * fifo://}.
   *
   * @throws RundException INVALID_ARGUMENT for a scheme or a path that cannot be served
   */
  static Optional<LogTarget> of(EventLoop loop, Owner owner, String path, boolean terminal) {
    if (path.indexOf("://") < 0) {
      Path file = Path.of(path);
      return Files.isRegularFile(file) ? Optional.of(FileLog.append(file)) : Optional.empty();
    }
    URI uri = parse(path);
    return switch (uri.getScheme()) {
      case "file" -> Optional.of(FileLog.create(Path.of(uri.getPath())));
      case "binary" -> Optional.of(BinaryLog.start(loop, owner, uri, terminal));
      default ->
          throw RundException.invalid(
              "standard stream %s: rund serves FIFOs, file:// and binary://".formatted(path));
    };
  }

  private static URI parse(String text) {
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException e) {
      throw RundException.invalid("standard stream %s: %s".formatted(text, e.getMessage()));
    }
    if (uri.getPath() == null || !uri.getPath().startsWith("/") || uri.getRawAuthority() != null) {
      throw RundException.invalid(
          "standard stream %s names no absolute path: write %s:///path"
              .formatted(text, uri.getScheme()));
    }
    return uri;
  }
}
