package io.rund.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * B7: the round trip of a VM exit, a: {@code ExitRoundTrip} of hypervisor-kvm in a JVM, b: {@code
 * native/bench/kvm-exit.c}; the same guest code on plain /dev/kvm. Each pair is a run of both
 * programs, each value the median of its rounds.
 *
 * <p>Arguments: the program kvm-exit, the number of pairs, the folder for the results. The JVM for
 * a has this one's class path.
 */
final class ExitBenchmark {
  private static final String EXITS = "100000";
  private static final String ROUNDS = "5";
  private static final double TARGET = 1.2;

  private ExitBenchmark() {}

  public static void main(String[] arguments) throws Exception {
    List<String> c = List.of(arguments[0], EXITS, ROUNDS);
    List<String> java =
        List.of(
            Path.of(System.getProperty("java.home"), "bin/java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            "io.rund.bench.ExitRoundTrip",
            EXITS,
            ROUNDS);
    int pairs = Integer.parseInt(arguments[1]);
    Path folder = Path.of(arguments[2]);
    compare("B7-pio", "VM exit for port I/O and back, Java and C", "pio_ns", java, c, pairs)
        .write(folder);
    compare(
            "B7-mmio",
            "VM exit for memory-mapped I/O and back, Java and C",
            "mmio_ns",
            java,
            c,
            pairs)
        .write(folder);
  }

  private static Comparison compare(
      String id, String what, String key, List<String> java, List<String> c, int pairs)
      throws Exception {
    return Comparison.of(id, what, "ns", TARGET, pairs, () -> run(java, key), () -> run(c, key));
  }

  private static double run(List<String> command, String key)
      throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    List<Double> rounds = new ArrayList<>();
    ObjectMapper json = new ObjectMapper();
    for (String line : process.inputReader().lines().toList()) {
      JsonNode round = json.readTree(line);
      rounds.add(round.path(key).asDouble());
    }
    if (process.waitFor() != 0 || rounds.isEmpty()) {
      throw new IllegalStateException(
          "%s ended with status %d".formatted(command, process.exitValue()));
    }
    return Comparison.median(rounds);
  }
}
