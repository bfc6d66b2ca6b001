package io.rund.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Benchmarks whose guest does several things and takes the times itself. */
final class GuestTimes {
  /** Boots a guest, lets it work, and gives the milliseconds of each thing by its name. */
  interface Run {
    Map<String, Double> once() throws Exception;
  }

  private GuestTimes() {}

  /**
   * Runs a and b in turn, once to warm up and {@code pairs} times; a comparison for each name is
   * written into {@code results}.
   *
   * @param what is compared, with %s for the name
   */
  static void compare(
      String id, String what, double target, int pairs, Path results, Run rund, Run other)
      throws Exception {
    Map<String, List<Double>> a = new LinkedHashMap<>();
    Map<String, List<Double>> b = new LinkedHashMap<>();
    for (int pair = 0; pair <= pairs; pair++) {
      Map<String, Double> first = rund.once();
      Map<String, Double> second = other.once();
      System.out.printf("  %s, pair %d of %d:%n    %s%n    %s%n", id, pair, pairs, first, second);
      if (pair > 0) {
        first.forEach((name, time) -> a.computeIfAbsent(name, _ -> new ArrayList<>()).add(time));
        second.forEach((name, time) -> b.computeIfAbsent(name, _ -> new ArrayList<>()).add(time));
      }
    }
    for (String name : a.keySet()) {
      new Comparison(id + "-" + name, what.formatted(name), "ms", a.get(name), b.get(name), target)
          .write(results);
    }
  }

  /**
   * What a guest has written: a name and milliseconds in a line.
   *
   * @throws IllegalStateException with its words if it failed
   */
  static Map<String, Double> parse(List<String> lines) {
    Map<String, Double> times = new LinkedHashMap<>();
    for (String line : lines) {
      String[] words = line.split(" ", 2);
      if (words.length < 2 || words[0].equals("failed")) {
        throw new IllegalStateException("the guest: " + line);
      }
      times.put(words[0], Double.parseDouble(words[1]));
    }
    return times;
  }
}
