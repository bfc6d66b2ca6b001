package io.rund.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Programs that a benchmark runs. Their standard error is this process's. */
final class Programs {
  private Programs() {}

  /**
   * Runs a program to its end; what it wrote to its standard output.
   *
   * @throws IllegalStateException if its status was not 0
   */
  static String output(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(
          "%s ended with status %d: %s".formatted(command, process.exitValue(), output));
    }
    return output.strip();
  }

  static String output(String... command) throws IOException, InterruptedException {
    return output(List.of(command));
  }

  /** Milliseconds that a program takes from its start to its end, which must be a good one. */
  static double milliseconds(List<String> command) throws IOException, InterruptedException {
    long start = System.nanoTime();
    var _ = output(command);
    return (System.nanoTime() - start) / 1e6;
  }

  static Process start(List<String> command) throws IOException {
    return new ProcessBuilder(command).inheritIO().start();
  }

  /** Waits for the end of a program, and kills it if there is none. */
  static void awaitEnd(Process process, long seconds) throws InterruptedException {
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IllegalStateException(
          "%s did not end in %d s"
              .formatted(process.info().command().orElse("a program"), seconds));
    }
  }
}
