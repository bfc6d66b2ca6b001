package io.rund.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Lines over an axis: what a benchmark shows beside its ratio.
 *
 * @param logarithmic whether both axes are; what is not greater than 0 is left out of the drawing
 *     then
 */
record Chart(
    @JsonProperty String title,
    @JsonProperty String x,
    @JsonProperty String y,
    @JsonProperty boolean logarithmic,
    @JsonProperty List<Line> lines) {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  /** A place, in the units of the axes. */
  record Point(@JsonProperty double x, @JsonProperty double y) {}

  /** Points in the order of x. */
  record Line(@JsonProperty String name, @JsonProperty List<Point> points) {
    /** How the values are distributed: over each, the part of them that is not greater. */
    static Line distribution(String name, List<Double> values) {
      List<Double> sorted = values.stream().sorted().toList();
      return new Line(
          name,
          IntStream.range(0, sorted.size())
              .mapToObj(i -> new Point(sorted.get(i), (i + 1.0) / sorted.size()))
              .toList());
    }
  }

  /** Writes NAME.json and NAME.svg into the folder "charts" of {@code results}. */
  void write(Path results, String name) throws IOException {
    Path charts = Files.createDirectories(results.resolve("charts"));
    JSON.writeValue(charts.resolve(name + ".json").toFile(), this);
    Files.writeString(charts.resolve(name + ".svg"), ChartPlot.of(this));
  }
}
