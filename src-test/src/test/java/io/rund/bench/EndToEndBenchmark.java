package io.rund.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * B2: {@code ctr run} of {@code true} with the overlay snapshotter, from the start of ctr to its
 * end; under runc and under rund as a clone, in turn, and then as a cold boot. The engine is warm.
 *
 * <p>Cold boots come last and by themselves: whoever gets the memory of a guest that has booted
 * pays, in an emulated machine, for the translations of the kernel that was there, and that would
 * be runc ({@link StaleTranslations}).
 *
 * <p>Arguments: an image that containerd has, with /bin/true; a folder for a while; the number of
 * pairs; the folder for the results.
 */
final class EndToEndBenchmark {
  private static final double COLD_TARGET = 2.0;
  private static final double CLONE_TARGET = 1.2;

  /** The memory of what ran before is used up, and the engine's code is compiled. */
  private static final int WARM_UP = 5;

  private static final String RUNC = "io.containerd.runc.v2";
  private static final String RUND = "io.containerd.rund.v2";

  private final String image;
  private int runs;

  private EndToEndBenchmark(String image) {
    this.image = image;
  }

  public static void main(String[] arguments) throws Exception {
    EndToEndBenchmark benchmark = new EndToEndBenchmark(arguments[0]);
    try (WarmEngine engine = new WarmEngine(Path.of(arguments[1]))) {
      engine.awaitTemplate(WarmEngine.PLAIN);
      benchmark.compare(Integer.parseInt(arguments[2]), Path.of(arguments[3]));
    }
  }

  private void compare(int pairs, Path results) throws Exception {
    List<Double> runc = new ArrayList<>();
    List<Double> cold = new ArrayList<>();
    List<Double> clone = new ArrayList<>();
    for (int pair = -WARM_UP; pair < pairs; pair++) {
      runc.add(run(RUNC));
      clone.add(run(RUND));
      System.out.printf(
          "  B2, pair %d of %d: runc %.0f, clone %.0f ms%n",
          pair + 1, pairs, runc.getLast(), clone.getLast());
    }
    for (int round = -WARM_UP; round < pairs; round++) {
      StaleTranslations.forget();
      cold.add(run(RUND, "--annotation", "io.rund.clone=false"));
      System.out.printf("  B2, %d of %d: cold %.0f ms%n", round + 1, pairs, cold.getLast());
    }
    List.of(runc, cold, clone).forEach(times -> times.subList(0, WARM_UP).clear());
    new Comparison("B2-cold", what("booted"), "ms", cold, runc, COLD_TARGET).write(results);
    new Comparison("B2-clone", what("cloned"), "ms", clone, runc, CLONE_TARGET).write(results);
  }

  private static String what(String how) {
    return "ctr run of true, start to end, rund (%s) and runc".formatted(how);
  }

  private double run(String runtime, String... flags) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of("ctr", "run", "--rm", "--snapshotter", "overlayfs", "--runtime", runtime));
    command.addAll(List.of(flags));
    command.addAll(List.of(image, "bench-run-" + runs++, "/bin/true"));
    return Programs.milliseconds(command);
  }
}
