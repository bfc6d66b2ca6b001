package io.rund.bench;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.shim.wire.engine.Phase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * B3: from the request for a sandbox to its agent's answer, as the engine's timeline has it. a: a
 * clone, b: a cold boot, in one engine. Not in turn: in an emulated machine clones would pay for
 * what cold boots leave behind ({@link StaleTranslations}).
 *
 * <p>Arguments: a folder for a while, the number of pairs, the folder for the results.
 */
final class CloneBenchmark {
  private static final int WARM_UPS = 5;
  private static final double TARGET = 0.1;

  private final WarmEngine engine;
  private List<Phase> last = List.of();

  private CloneBenchmark(WarmEngine engine) {
    this.engine = engine;
  }

  public static void main(String[] arguments) throws Exception {
    try (WarmEngine engine = new WarmEngine(Path.of(arguments[0]))) {
      engine.awaitTemplate(WarmEngine.PLAIN);
      CloneBenchmark benchmark = new CloneBenchmark(engine);
      int times = Integer.parseInt(arguments[1]);
      new Comparison(
              "B3",
              "request to the agent's answer, clone and cold boot",
              "ms",
              benchmark.measure(false, times),
              benchmark.measure(true, times),
              TARGET)
          .write(Path.of(arguments[2]));
      benchmark.draw(Path.of(arguments[2]));
    }
  }

  private List<Double> measure(boolean cold, int times) throws Exception {
    List<Double> measured = new ArrayList<>();
    for (int i = -WARM_UPS; i < times; i++) {
      measured.add(answered(cold));
      System.out.printf(
          "  B3, %d of %d: %s %.0f ms%n",
          i + 1, times, cold ? "cold boot" : "clone", measured.getLast());
    }
    return measured.subList(WARM_UPS, measured.size());
  }

  private static void coldly(ObjectNode specification) {
    specification.withObjectProperty("annotations").put("io.rund.clone", "false");
  }

  private double answered(boolean cold) throws Exception {
    if (cold) {
      StaleTranslations.forget();
    }
    try (BenchSandbox sandbox = engine.sandbox(cold ? CloneBenchmark::coldly : WarmEngine.PLAIN)) {
      double _ = sandbox.start();
      if (sandbox.isClone() == cold) {
        throw new IllegalStateException("not what was asked for: " + sandbox.timeline());
      }
      last = sandbox.timeline();
      return sandbox.until("agent hello");
    }
  }

  /** The timelines of one more of each, the cold boot's last. */
  private void draw(Path results) throws Exception {
    Path charts = Files.createDirectories(results.resolve("charts"));
    double _ = answered(false);
    Files.writeString(
        charts.resolve("B3-clone.svg"), TimelinePlot.of("The start of a clone", last));
    double _ = answered(true);
    Files.writeString(
        charts.resolve("B3-cold.svg"), TimelinePlot.of("The start of a cold boot", last));
  }
}
