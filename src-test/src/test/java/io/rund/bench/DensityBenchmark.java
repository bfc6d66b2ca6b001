package io.rund.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * B5: what idle sandboxes cost the host beyond their RAM: the engine and the anchors, in
 * proportional shares ({@code rund overhead}), and what the kernel has more than before the first
 * ({@link HostMemory}). All of it, what the engine takes once as well, divided by their number. The
 * target is a size, so it stands in the other's place.
 *
 * <p>Arguments: a folder for a while, numbers of sandboxes ("1,10,100"), how often to fill the
 * host, the folder for the results. Numbers for which the host's memory may not do are left out.
 */
final class DensityBenchmark {
  private static final double TARGET_MIB = 1.0;

  /** For what a start leaves to be done, and for the engine to give back what it took. */
  private static final int SETTLE_MILLIS = 20_000;

  private final WarmEngine engine;
  private final Map<Integer, List<Cost>> costs = new TreeMap<>();

  /** MiB beyond guest RAM, of all sandboxes; {@code ram} is what the guests have touched. */
  private record Cost(double engine, double anchors, double kernel, double ram) {
    double beyond() {
      return engine + anchors + kernel;
    }
  }

  private DensityBenchmark(WarmEngine engine) {
    this.engine = engine;
  }

  public static void main(String[] arguments) throws Exception {
    try (WarmEngine engine = new WarmEngine(Path.of(arguments[0]))) {
      engine.awaitTemplate(WarmEngine.PLAIN);
      List<Integer> counts =
          Arrays.stream(arguments[1].split(",", -1)).map(Integer::parseInt).toList();
      DensityBenchmark benchmark = new DensityBenchmark(engine);
      for (int fill = 0; fill < Integer.parseInt(arguments[2]); fill++) {
        benchmark.fill(counts);
      }
      benchmark.write(Path.of(arguments[3]));
    }
  }

  private void fill(List<Integer> counts) throws Exception {
    Thread.sleep(SETTLE_MILLIS);
    HostMemory before = HostMemory.read();
    Deque<BenchSandbox> running = new ArrayDeque<>();
    try {
      for (int count : counts) {
        if (!HostMemory.read().hasRoomFor(count - running.size())) {
          System.out.printf("  B5: no memory for %d sandboxes%n", count);
          break;
        }
        while (running.size() < count) {
          BenchSandbox sandbox = engine.sandbox(WarmEngine.PLAIN);
          running.push(sandbox);
          double _ = sandbox.start();
        }
        Thread.sleep(SETTLE_MILLIS);
        Cost cost = measure(before);
        costs.computeIfAbsent(count, _ -> new ArrayList<>()).add(cost);
        System.out.printf(
            "  B5, %d sandboxes: engine %.1f, anchors %.1f, kernel %.1f MiB; %.2f MiB each, and"
                + " %.1f MiB of RAM each%n",
            count,
            cost.engine(),
            cost.anchors(),
            cost.kernel(),
            cost.beyond() / count,
            cost.ram() / count);
      }
    } finally {
      while (!running.isEmpty()) {
        running.pop().close();
      }
    }
  }

  private static Cost measure(HostMemory before) throws Exception {
    JsonNode overhead = new ObjectMapper().readTree(Programs.output("rund", "overhead", "--json"));
    return new Cost(
        mebibytes(overhead, "engine_share"),
        mebibytes(overhead, "anchors"),
        (HostMemory.read().kernelKib() - before.kernelKib()) / 1024.0,
        mebibytes(overhead, "guest_ram"));
  }

  private static double mebibytes(JsonNode overhead, String part) {
    double sum = 0;
    for (JsonNode sandbox : overhead.get("sandboxes")) {
      sum += sandbox.get("host").get(part).asDouble();
    }
    return sum / (1 << 20);
  }

  private void write(Path results) throws Exception {
    List<Integer> counts = List.copyOf(costs.keySet());
    int most = counts.getLast();
    int fewer = counts.get(Math.max(0, counts.size() - 2));
    List<Double> target = costs.get(most).stream().map(_ -> TARGET_MIB).toList();
    new Comparison(
            "B5-each-" + most,
            "host memory beyond RAM, each of %d idle sandboxes, and 1 MiB".formatted(most),
            "MiB",
            each(most),
            target,
            1)
        .write(results);
    new Comparison(
            "B5-falling-" + most,
            "host memory beyond RAM, each of %d and each of %d".formatted(most, fewer),
            "MiB",
            each(most),
            each(fewer),
            1)
        .write(results);
    new Comparison(
            "B5-one-more-" + most,
            "host memory beyond RAM, one more between %d and %d, and 1 MiB".formatted(fewer, most),
            "MiB",
            oneMore(fewer, most),
            target,
            1)
        .write(results);
    new Chart(
            "Host memory of each idle sandbox against their number",
            "sandboxes",
            "MiB",
            true,
            List.of(
                line("beyond guest RAM", counts, Cost::beyond),
                line("of it the engine", counts, Cost::engine),
                line("of it the kernel", counts, Cost::kernel),
                line("guest RAM touched", counts, Cost::ram)))
        .write(results, "B5-memory");
  }

  private List<Double> each(int count) {
    return costs.get(count).stream().map(cost -> cost.beyond() / count).toList();
  }

  private List<Double> oneMore(int fewer, int most) {
    List<Double> all = new ArrayList<>();
    for (int i = 0; i < costs.get(most).size(); i++) {
      double grown = costs.get(most).get(i).beyond() - costs.get(fewer).get(i).beyond();
      all.add(grown / Math.max(1, most - fewer));
    }
    return all;
  }

  private Chart.Line line(
      String name, List<Integer> counts, java.util.function.ToDoubleFunction<Cost> part) {
    return new Chart.Line(
        name,
        counts.stream()
            .map(
                count ->
                    new Chart.Point(
                        count,
                        Comparison.median(
                            costs.get(count).stream()
                                .map(cost -> part.applyAsDouble(cost) / count)
                                .toList())))
            .toList());
  }
}
