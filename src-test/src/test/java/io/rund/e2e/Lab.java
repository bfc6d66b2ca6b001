package io.rund.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Commands on this machine and scripts in the lab. A round trip to the lab and a start of ctr in it
 * take a second each, so tests put what belongs together into one script.
 */
final class Lab {
  /** The module's folder: Surefire runs tests in it. */
  static final Path MODULE = Path.of("").toAbsolutePath();

  private static final Path FUNCTIONS = MODULE.resolve("src/test/sh/functions.sh");
  static final Path PROBE = MODULE.resolve("target/probe");
  private static final AtomicInteger ids = new AtomicInteger();

  private Lab() {}

  /** An id that no other container of this run has. */
  static String id(String what) {
    return what + "-" + ids.incrementAndGet();
  }

  /**
   * Runs a bash script in the lab, with the functions of functions.sh and {@code arguments} as $1,
   * $2...
   */
  static Result script(Duration timeout, String script, String... arguments) {
    List<String> command =
        command("bash", "-c", "PROBE=%s\n. %s\n%s".formatted(PROBE, FUNCTIONS, script), "e2e");
    command.addAll(List.of(arguments));
    return run(timeout, command);
  }

  /** What runs {@code command} in the lab, its streams being those of the process. */
  static List<String> command(String... command) {
    List<String> whole = new ArrayList<>();
    whole.add(MODULE.resolve("lab/lab").toString());
    whole.addAll(List.of("exec", "--"));
    whole.addAll(List.of(command));
    return whole;
  }

  /** Whether the lab is up. An emulated machine may end, or stand still, before its time. */
  static boolean answers() {
    try {
      return run(Duration.ofMinutes(1), command("true")).exit() == 0;
    } catch (AssertionError e) {
      return false;
    }
  }

  /**
   * Runs a command on this machine.
   *
   * @throws AssertionError if it has not ended after {@code timeout}, with its output; it has then
   *     been killed with all that it started, whether or not the lab still answers
   */
  static Result run(Duration timeout, List<String> command) {
    Process process;
    try {
      process =
          new ProcessBuilder(command).redirectInput(ProcessBuilder.Redirect.from(NULL)).start();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot run " + command.getFirst(), e);
    }
    CompletableFuture<String> out = read(process.getInputStream());
    CompletableFuture<String> err = read(process.getErrorStream());
    boolean ended;
    try {
      ended = process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS);
      if (!ended) {
        kill(process);
        out.completeOnTimeout(LEFT_OPEN, 10, TimeUnit.SECONDS);
        err.completeOnTimeout(LEFT_OPEN, 10, TimeUnit.SECONDS);
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted while a command ran", e);
    }
    Result result =
        new Result(
            String.join(" ", command), ended ? process.exitValue() : -1, out.join(), err.join());
    if (!ended) {
      throw new AssertionError("no end after " + timeout.toSeconds() + " s: " + result);
    }
    return result;
  }

  /** The first signal goes to the command in the lab, which is given time to say something. */
  private static void kill(Process process) throws InterruptedException {
    process.destroy();
    process.waitFor(15, TimeUnit.SECONDS);
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  private static final String LEFT_OPEN = "(a killed command left it open)";

  private static final java.io.File NULL = new java.io.File("/dev/null");

  private static CompletableFuture<String> read(InputStream stream) {
    CompletableFuture<String> text = new CompletableFuture<>();
    Thread.startVirtualThread(
        () -> {
          try (stream) {
            text.complete(new String(stream.readAllBytes(), UTF_8));
          } catch (IOException e) {
            text.complete("(cannot be read: " + e + ")");
          }
        });
    return text;
  }
}
