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
  private static final String EXITS = "20000";
  private static final String ROUNDS = "3";
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
    List<Round> a = new ArrayList<>();
    List<Round> b = new ArrayList<>();
    for (int i = 0; i < pairs; i++) {
      a.add(run(java));
      b.add(run(c));
      System.out.printf("  B7, pair %d of %d: %s and %s%n", i + 1, pairs, a.get(i), b.get(i));
    }
    Path folder = Path.of(arguments[2]);
    new Comparison(
            "B7-pio",
            "VM exit for port I/O and back, Java and C",
            "ns",
            a.stream().map(Round::pio).toList(),
            b.stream().map(Round::pio).toList(),
            TARGET)
        .write(folder);
    new Comparison(
            "B7-mmio",
            "VM exit for memory-mapped I/O and back, Java and C",
            "ns",
            a.stream().map(Round::mmio).toList(),
            b.stream().map(Round::mmio).toList(),
            TARGET)
        .write(folder);
  }

  /** Nanoseconds an exit. */
  private record Round(double pio, double mmio) {}

  /** The medians of a program's rounds. */
  private static Round run(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    List<Double> pio = new ArrayList<>();
    List<Double> mmio = new ArrayList<>();
    ObjectMapper json = new ObjectMapper();
    for (String line : process.inputReader().lines().toList()) {
      JsonNode round = json.readTree(line);
      pio.add(round.path("pio_ns").asDouble());
      mmio.add(round.path("mmio_ns").asDouble());
    }
    if (process.waitFor() != 0 || pio.isEmpty()) {
      throw new IllegalStateException(
          "%s ended with status %d".formatted(command, process.exitValue()));
    }
    return new Round(Comparison.median(pio), Comparison.median(mmio));
  }
}
