package io.rund.bench;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.shim.wire.engine.AddressRange;
import io.rund.shim.wire.engine.Footprint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * B6: what of a sandbox of 128 MiB its programs cannot have, as its guest's kernel says; and how
 * many pages an idle clone owns: those of its RAM that are not its template's (Anonymous in
 * /proc/PID/smaps). The targets are sizes, so they stand in the other's place.
 *
 * <p>Arguments: a folder for a while, the number of sandboxes to look at, the folder for the
 * results.
 */
final class GuestOverheadBenchmark {
  private static final long SIZE = 128L << 20;
  private static final double GUEST_TARGET_MIB = 24;
  private static final double PRIVATE_TARGET_MIB = 6;

  /** For what a start leaves to be done. */
  private static final int SETTLE_MILLIS = 5000;

  private GuestOverheadBenchmark() {}

  public static void main(String[] arguments) throws Exception {
    List<Double> kept = new ArrayList<>();
    List<Double> owned = new ArrayList<>();
    try (WarmEngine engine = new WarmEngine(Path.of(arguments[0]))) {
      engine.awaitTemplate(GuestOverheadBenchmark::limit);
      for (int i = 0; i < Integer.parseInt(arguments[1]); i++) {
        try (BenchSandbox sandbox = engine.sandbox(GuestOverheadBenchmark::limit)) {
          double _ = sandbox.start();
          Thread.sleep(SETTLE_MILLIS);
          Footprint footprint = sandbox.footprint(engine.footprint());
          if (footprint.getMemoryBytes() != SIZE) {
            throw new IllegalStateException("memory_overhead of rund.toml is not 64MiB");
          }
          double reserved = mebibytes(SIZE - footprint.getGuestTotalBytes());
          kept.add(mebibytes(SIZE - footprint.getGuestAvailableBytes()));
          int pid = engine.footprint().getPid();
          owned.add(mebibytes(sum("Anonymous", pid, footprint.getRamList())));
          double huge = mebibytes(sum("AnonHugePages", pid, footprint.getRamList()));
          System.out.printf(
              "  B6: the guest keeps %.1f MiB, its kernel %.1f of it; the clone owns %.1f, %.1f in"
                  + " huge pages%n",
              kept.getLast(), reserved, owned.getLast(), huge);
        }
      }
    }
    Path results = Path.of(arguments[2]);
    write(results, "B6-guest", "of 128 MiB, what programs cannot have", kept, GUEST_TARGET_MIB);
    write(results, "B6-private", "pages an idle clone owns", owned, PRIVATE_TARGET_MIB);
  }

  /** To a limit the engine adds as much for the guest (memory_overhead). */
  private static void limit(ObjectNode specification) {
    specification
        .withObjectProperty("linux")
        .withObjectProperty("resources")
        .withObjectProperty("memory")
        .put("limit", SIZE / 2);
  }

  private static void write(
      Path results, String id, String what, List<Double> measured, double target)
      throws IOException {
    List<Double> other = measured.stream().map(_ -> target).toList();
    String whole = "%s, and %.0f MiB".formatted(what, target);
    new Comparison(id, whole, "MiB", measured, other, 1).write(results);
  }

  private static double mebibytes(long bytes) {
    return bytes / (double) (1 << 20);
  }

  /** Bytes that a field of smaps has for {@code ranges} (Documentation/filesystems/proc.rst). */
  private static long sum(String field, int pid, List<AddressRange> ranges) throws IOException {
    long sum = 0;
    boolean inside = false;
    for (String line : Files.readAllLines(Path.of("/proc", Integer.toString(pid), "smaps"))) {
      // "7f00-7f01 rw-p ...", where all else is "Name: ...".
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        long start = Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16);
        inside =
            ranges.stream()
                .anyMatch(
                    range ->
                        Long.compareUnsigned(start, range.getStart()) >= 0
                            && Long.compareUnsigned(start, range.getEnd()) < 0);
      } else if (inside && line.startsWith(field + ":")) {
        sum += Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
    }
    return sum;
  }
}
