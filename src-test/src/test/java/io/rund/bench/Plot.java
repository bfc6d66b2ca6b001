package io.rund.bench;

import java.util.List;

/** Draws a comparison: each value a dot in the order of measurement, each median a line. */
final class Plot {
  private static final int WIDTH = 720;
  private static final int HEIGHT = 320;
  private static final int LEFT = 80;
  private static final int RIGHT = 180;
  private static final int TOP = 50;
  private static final int BOTTOM = 40;
  private static final String RUND = "#0b6e4f";
  private static final String OTHER = "#b23a48";

  private final Svg svg = new Svg(WIDTH, HEIGHT);
  private final double top;
  private final int count;

  private Plot(double largest, int count) {
    this.top = largest * 1.1;
    this.count = count;
  }

  /** An SVG document. */
  static String of(Comparison comparison) {
    double largest =
        Math.max(
            comparison.a().stream().mapToDouble(v -> v).max().orElse(1),
            comparison.b().stream().mapToDouble(v -> v).max().orElse(1));
    Plot plot = new Plot(largest, comparison.a().size());
    plot.frame(comparison);
    plot.series(comparison.a(), RUND, "rund", comparison.unit());
    plot.series(comparison.b(), OTHER, "compared with", comparison.unit());
    return plot.svg.end();
  }

  private void frame(Comparison comparison) {
    svg.text(LEFT, 20, "start", "#000", comparison.id() + ": " + comparison.what());
    String verdict = comparison.holds() ? "holds" : "missed";
    svg.text(
        LEFT,
        38,
        "start",
        Svg.GREY,
        "ratio of medians "
            + Svg.number(comparison.ratio(), 2)
            + ", target at most "
            + Svg.number(comparison.target(), 2)
            + ": "
            + verdict);
    for (int i = 0; i <= 4; i++) {
      double value = top * i / 4;
      line(y(value), "#ddd");
      svg.text(LEFT - 8, y(value) + 4, "end", Svg.GREY, Svg.number(value, 1));
    }
    svg.text(LEFT - 8, TOP - 8, "end", Svg.GREY, comparison.unit());
    svg.text(
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10,
        "middle",
        Svg.GREY,
        "pair, in order of measurement");
  }

  private void series(List<Double> values, String color, String name, String unit) {
    double median = Comparison.median(values);
    line(y(median), color);
    String label = name + ": " + Svg.number(median, 1) + " " + unit;
    svg.text(WIDTH - RIGHT + 8, y(median) + 4, "start", color, label);
    for (int i = 0; i < values.size(); i++) {
      double x = LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / count;
      svg.dot(x, y(values.get(i)), color);
    }
  }

  private double y(double value) {
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
  }

  /** A horizontal line across the plot. */
  private void line(double y, String color) {
    svg.line(LEFT, y, WIDTH - RIGHT, y, color);
  }
}
