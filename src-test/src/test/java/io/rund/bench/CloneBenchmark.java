package io.rund.bench;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.shim.wire.engine.Phase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * B3: from the request for a sandbox to its agent's answer, as the engine's timeline has it. a: a
 * clone, b: a cold boot, in turn in one engine.
 *
 * <p>Arguments: a folder for a while, the number of pairs, the folder for the results.
 */
final class CloneBenchmark {
  private static final int WARM_UPS = 2;
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
      for (int i = 0; i < WARM_UPS; i++) {
        double _ = benchmark.answered(false);
        double _ = benchmark.answered(true);
      }
      Comparison.of(
              "B3",
              "request to the agent's answer, clone and cold boot",
              "ms",
              TARGET,
              Integer.parseInt(arguments[1]),
              () -> benchmark.answered(false),
              () -> benchmark.answered(true))
          .write(Path.of(arguments[2]));
      benchmark.draw(Path.of(arguments[2]));
    }
  }

  private static void coldly(ObjectNode specification) {
    specification.withObjectProperty("annotations").put("io.rund.clone", "false");
  }

  private double answered(boolean cold) throws Exception {
    try (BenchSandbox sandbox = engine.sandbox(cold ? CloneBenchmark::coldly : WarmEngine.PLAIN)) {
      double _ = sandbox.start();
      if (sandbox.isClone() == cold) {
        throw new IllegalStateException("not what was asked for: " + sandbox.timeline());
      }
      last = sandbox.timeline();
      return sandbox.until("agent hello");
    }
  }

  /** The timelines of one more of each. */
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
