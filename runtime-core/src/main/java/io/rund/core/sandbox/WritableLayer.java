package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The part of an overlay that its container writes: the upper directory (overlayfs.rst). */
final class WritableLayer {
  private static final String UPPER = "upperdir=";
  private static final String WORK = "workdir=";

  private WritableLayer() {}

  /** Empty for an overlay that nobody can write to. */
  static Optional<Path> of(RootfsMount overlay) {
    return overlay.options().stream()
        .filter(option -> option.startsWith(UPPER))
        .map(option -> Path.of(option.substring(UPPER.length())))
        .findFirst();
  }

  /** The same overlay with another upper directory, if it has one, and a work directory beside. */
  static RootfsMount replace(RootfsMount overlay, Path upper, Path work) {
    List<String> options =
        overlay.options().stream()
            .map(
                option ->
                    option.startsWith(UPPER)
                        ? UPPER + upper
                        : option.startsWith(WORK) ? WORK + work : option)
            .toList();
    return new RootfsMount(overlay.type(), overlay.source(), overlay.target(), options);
  }

  /**
   * Copies a directory with owners, times, links, devices and extended attributes, among them those
   * by which an overlay knows what was deleted. Shares blocks where the file system can.
   *
   * @param to is made
   */
  static void copy(Path from, Path to) {
    List<String> command =
        List.of("/bin/cp", "-a", "--reflink=auto", "-T", "--", from.toString(), to.toString());
    try {
      Path said = Files.createTempFile(to.getParent(), "cp", null);
      try {
        Process copying =
            new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        int status;
        try {
          status = copying.waitFor();
        } finally {
          // Of one who is interrupted, nothing writes on.
          var _ = copying.destroyForcibly();
        }
        if (status != 0) {
          throw RundException.internal(
              "cannot copy %s to %s: %s".formatted(from, to, firstLine(said)), null);
        }
      } finally {
        Files.delete(said);
      }
    } catch (IOException e) {
      throw RundException.internal("cannot copy %s to %s: %s".formatted(from, to, e), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while %s was copied".formatted(from), e);
    }
  }

  private static String firstLine(Path file) throws IOException {
    try (Stream<String> lines = Files.lines(file, StandardCharsets.ISO_8859_1)) {
      return lines.findFirst().orElse("cp says nothing");
    }
  }
}
