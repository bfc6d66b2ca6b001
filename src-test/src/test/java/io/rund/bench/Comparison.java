package io.rund.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What a benchmark found: {@code a} is rund, {@code b} what it is compared with, one pair of values
 * after the other; less is better.
 *
 * @param target the ratio of medians, a to b, that is to be kept
 */
@JsonIgnoreProperties(ignoreUnknown = true)
@JsonPropertyOrder({"id", "what", "unit", "a", "b", "ratio", "target", "holds"})
record Comparison(
    @JsonProperty String id,
    @JsonProperty String what,
    @JsonProperty String unit,
    @JsonProperty List<Double> a,
    @JsonProperty List<Double> b,
    @JsonProperty double target) {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  /** Measures one value. */
  interface Measure {
    double once() throws Exception;
  }

  /** Measures a and b in turn, {@code pairs} times. */
  static Comparison of(
      String id, String what, String unit, double target, int pairs, Measure a, Measure b)
      throws Exception {
    double[] first = new double[pairs];
    double[] second = new double[pairs];
    for (int i = 0; i < pairs; i++) {
      first[i] = a.once();
      second[i] = b.once();
      System.out.printf(
          "  %s, pair %d of %d: %.1f and %.1f %s%n", id, i + 1, pairs, first[i], second[i], unit);
    }
    return new Comparison(
        id,
        what,
        unit,
        Arrays.stream(first).boxed().toList(),
        Arrays.stream(second).boxed().toList(),
        target);
  }

  /** All that {@link #write} wrote into a folder, in the order of their ids. */
  static List<Comparison> readAll(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(folder)) {
      files = list.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
    List<Comparison> comparisons = new ArrayList<>();
    for (Path file : files) {
      comparisons.add(JSON.readValue(file.toFile(), Comparison.class));
    }
    return comparisons;
  }

  static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  @JsonProperty
  double ratio() {
    return median(a) / median(b);
  }

  @JsonProperty
  boolean holds() {
    return ratio() <= target;
  }

  /**
   * The standard error of the ratio, as a part of it: from the median distance of the pairs' ratios
   * to their median, which a few pairs that were disturbed do not move.
   */
  double noise() {
    List<Double> ratios = IntStream.range(0, a.size()).mapToObj(i -> a.get(i) / b.get(i)).toList();
    double middle = median(ratios);
    double distance = median(ratios.stream().map(r -> Math.abs(r - middle)).toList());
    // As for a normal distribution: 1.4826 distances are a deviation, a median's error is 1.2533
    // that of a mean.
    return 1.4826 * 1.2533 * distance / middle / Math.sqrt(ratios.size());
  }

  /** Writes ID.json and ID.svg into {@code folder}. */
  void write(Path folder) throws IOException {
    Files.createDirectories(folder);
    JSON.writeValue(folder.resolve(id + ".json").toFile(), this);
    Files.writeString(folder.resolve(id + ".svg"), Plot.of(this));
  }
}
