package io.rund.bench;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * B4: clones one at a time and many at once, and one at a time beside many that run. What a client
 * waits for one is compared with the time for each of many; a host with several CPUs should need
 * less, and no host more. Then the slowest of a hundred starts (p99; of fewer, the slowest): beside
 * those that run, and beside none.
 *
 * <p>Arguments: a folder for a while, numbers of sandboxes ("10,50"), the number of rounds, the
 * folder for the results. Numbers for which the host's memory may not do are left out.
 */
final class ConcurrencyBenchmark {
  private static final double THROUGHPUT_TARGET = 1.0;
  private static final double TAIL_TARGET = 1.2;

  /** Starts one after the other, to see how long they take. */
  private static final int STARTS = 12;

  private static final int WARM_UPS = 3;

  private final WarmEngine engine;

  /** Of one number: milliseconds for each when started at once, and of starts beside them. */
  private record Level(int count, List<Double> each, List<Double> tails, List<Double> starts) {
    Level(int count) {
      this(count, new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    }

    void add(List<Double> measured) {
      starts.addAll(measured);
      tails.add(p99(measured));
    }
  }

  private ConcurrencyBenchmark(WarmEngine engine) {
    this.engine = engine;
  }

  public static void main(String[] arguments) throws Exception {
    try (WarmEngine engine = new WarmEngine(Path.of(arguments[0]))) {
      engine.awaitTemplate(WarmEngine.PLAIN);
      List<Integer> counts =
          Arrays.stream(arguments[1].split(",", -1)).map(Integer::parseInt).toList();
      new ConcurrencyBenchmark(engine)
          .compare(counts, Integer.parseInt(arguments[2]), Path.of(arguments[3]));
    }
  }

  private void compare(List<Integer> counts, int rounds, Path results) throws Exception {
    Level none = new Level(0);
    List<Level> levels = new ArrayList<>();
    for (int count : counts) {
      if (HostMemory.read().hasRoomFor(count)) {
        levels.add(new Level(count));
      } else {
        System.out.printf("  B4: no memory for %d sandboxes%n", count);
      }
    }
    var _ = oneByOne(WARM_UPS);
    for (int round = 1; round <= rounds; round++) {
      List<Double> alone = oneByOne(STARTS);
      none.add(alone);
      none.each().add(alone.stream().mapToDouble(v -> v).average().orElseThrow());
      for (Level level : levels) {
        measure(level);
        System.out.printf(
            "  B4, round %d of %d: one at a time %.0f ms (p99 %.0f); of %d at once %.0f ms each,"
                + " then one at a time p99 %.0f ms%n",
            round,
            rounds,
            none.each().getLast(),
            none.tails().getLast(),
            level.count(),
            level.each().getLast(),
            level.tails().getLast());
      }
    }
    write(none, levels, results);
  }

  private void measure(Level level) throws Exception {
    Deque<BenchSandbox> running = new ArrayDeque<>();
    try {
      for (int i = 0; i < level.count(); i++) {
        running.add(engine.sandbox(WarmEngine.PLAIN));
      }
      long began = System.nanoTime();
      inParallel(running, BenchSandbox::start);
      level.each().add((System.nanoTime() - began) / 1e6 / level.count());
      level.add(oneByOne(STARTS));
    } finally {
      inParallel(running, BenchSandbox::close);
    }
  }

  private interface Action {
    void on(BenchSandbox sandbox) throws Exception;
  }

  private static void inParallel(Iterable<BenchSandbox> sandboxes, Action action) throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> all = new ArrayList<>();
      for (BenchSandbox sandbox : sandboxes) {
        all.add(
            threads.submit(
                () -> {
                  action.on(sandbox);
                  return null;
                }));
      }
      for (Future<?> one : all) {
        var _ = one.get();
      }
    }
  }

  private List<Double> oneByOne(int starts) throws Exception {
    List<Double> times = new ArrayList<>();
    for (int i = 0; i < starts; i++) {
      try (BenchSandbox sandbox = engine.sandbox(WarmEngine.PLAIN)) {
        times.add(sandbox.start());
      }
    }
    return times;
  }

  private static double p99(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    return sorted.get((int) Math.ceil(0.99 * sorted.size()) - 1);
  }

  private static void write(Level none, List<Level> levels, Path results) throws Exception {
    List<Chart.Point> medians = new ArrayList<>();
    List<Chart.Point> tails = new ArrayList<>();
    List<Chart.Point> rates = new ArrayList<>();
    List<Chart.Line> distributions = new ArrayList<>();
    List<Level> all = new ArrayList<>(levels);
    all.addFirst(none);
    for (Level level : all) {
      medians.add(new Chart.Point(level.count(), Comparison.median(level.starts())));
      tails.add(new Chart.Point(level.count(), p99(level.starts())));
      rates.add(
          new Chart.Point(Math.max(1, level.count()), 1000 / Comparison.median(level.each())));
      distributions.add(Chart.Line.distribution(level.count() + " running", level.starts()));
    }
    for (Level level : levels) {
      new Comparison(
              "B4-at-once-" + level.count(),
              "clones, each of %d at once and one at a time".formatted(level.count()),
              "ms",
              level.each(),
              none.each(),
              THROUGHPUT_TARGET)
          .write(results);
      new Comparison(
              "B4-p99-" + level.count(),
              "p99 of a clone's start, beside %d running and none".formatted(level.count()),
              "ms",
              level.tails(),
              none.tails(),
              TAIL_TARGET)
          .write(results);
    }
    new Chart(
            "Latency of a start against the number of running sandboxes",
            "running sandboxes",
            "ms",
            false,
            List.of(new Chart.Line("p99", tails), new Chart.Line("median", medians)))
        .write(results, "B4-latency");
    new Chart(
            "Clones a second against the number started at once",
            "started at once",
            "1/s",
            false,
            List.of(new Chart.Line("rund", rates)))
        .write(results, "B4-throughput");
    new Chart("Distribution of start times, one at a time", "ms", "part", false, distributions)
        .write(results, "B4-starts");
  }
}
