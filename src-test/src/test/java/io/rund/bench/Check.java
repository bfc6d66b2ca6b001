package io.rund.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Compares a run of the benchmarks with an accepted one. Arguments: the folders of the accepted and
 * of the new results. Ends with status 1 if a ratio became worse by more than both runs' noise, or
 * was not measured.
 */
final class Check {
  /** Standard errors that a ratio may move by chance. */
  private static final double ERRORS = 3;

  /** What is always taken for noise: pairs may agree by luck. */
  private static final double LEAST_NOISE = 0.02;

  private Check() {}

  public static void main(String[] arguments) throws IOException {
    List<Comparison> accepted = Comparison.readAll(Path.of(arguments[0]));
    List<String> worse = worse(accepted, Comparison.readAll(Path.of(arguments[1])));
    worse.forEach(line -> System.err.println("bench-check: " + line));
    if (!worse.isEmpty()) {
      System.exit(1);
    }
    System.out.printf("bench-check: none of %d ratios is worse than accepted%n", accepted.size());
  }

  /** A line for each accepted comparison whose like in {@code measured} is worse, or missing. */
  static List<String> worse(List<Comparison> accepted, List<Comparison> measured) {
    Map<String, Comparison> byId =
        measured.stream().collect(Collectors.toMap(Comparison::id, Function.identity()));
    List<String> worse = new ArrayList<>();
    for (Comparison before : accepted) {
      Comparison now = byId.get(before.id());
      if (now == null) {
        worse.add("%s (%s) was not measured".formatted(before.id(), before.what()));
        continue;
      }
      double noise = Math.max(LEAST_NOISE, ERRORS * Math.hypot(before.noise(), now.noise()));
      if (now.ratio() > before.ratio() * (1 + noise)) {
        worse.add(
            "%s (%s): ratio %.3f, accepted %.3f with noise of %.1f %%"
                .formatted(before.id(), before.what(), now.ratio(), before.ratio(), 100 * noise));
      }
    }
    return worse;
  }
}
