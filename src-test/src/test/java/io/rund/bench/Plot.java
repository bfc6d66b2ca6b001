package io.rund.bench;

import java.math.BigDecimal;
import java.math.RoundingMode;
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

  private final StringBuilder svg = new StringBuilder();
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
    return plot.svg.append("</svg>\n").toString();
  }

  private void frame(Comparison comparison) {
    add(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='12'>"
            .formatted(WIDTH, HEIGHT));
    add("<rect width='%d' height='%d' fill='white'/>".formatted(WIDTH, HEIGHT));
    text(LEFT, 20, "start", "#000", comparison.id() + ": " + comparison.what());
    String verdict = comparison.holds() ? "holds" : "missed";
    text(
        LEFT,
        38,
        "start",
        "#555",
        "ratio of medians "
            + number(comparison.ratio(), 2)
            + ", target at most "
            + number(comparison.target(), 2)
            + ": "
            + verdict);
    for (int i = 0; i <= 4; i++) {
      double value = top * i / 4;
      line(y(value), "#ddd");
      text(LEFT - 8, y(value) + 4, "end", "#555", number(value, 1));
    }
    text(LEFT - 8, TOP - 8, "end", "#555", comparison.unit());
    text(
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10,
        "middle",
        "#555",
        "pair, in order of measurement");
  }

  private void series(List<Double> values, String color, String name, String unit) {
    double median = Comparison.median(values);
    line(y(median), color);
    String label = name + ": " + number(median, 1) + " " + unit;
    text(WIDTH - RIGHT + 8, y(median) + 4, "start", color, label);
    for (int i = 0; i < values.size(); i++) {
      double x = LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / count;
      add(
          "<circle cx='%s' cy='%s' r='4' fill='%s'/>"
              .formatted(number(x, 1), number(y(values.get(i)), 1), color));
    }
  }

  private double y(double value) {
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
  }

  /** A horizontal line across the plot. */
  private void line(double y, String color) {
    String at = number(y, 1);
    add(
        "<line x1='%d' y1='%s' x2='%d' y2='%s' stroke='%s'/>"
            .formatted(LEFT, at, WIDTH - RIGHT, at, color));
  }

  private void text(double x, double y, String anchor, String color, String content) {
    String escaped = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    add(
        "<text x='%s' y='%s' text-anchor='%s' fill='%s'>%s</text>"
            .formatted(number(x, 1), number(y, 1), anchor, color, escaped));
  }

  /** SVG knows only the decimal point. */
  private static String number(double value, int decimals) {
    return BigDecimal.valueOf(value).setScale(decimals, RoundingMode.HALF_UP).toPlainString();
  }

  private void add(String element) {
    svg.append(element).append('\n');
  }
}
