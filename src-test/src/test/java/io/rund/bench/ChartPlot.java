package io.rund.bench;

import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/** Draws a chart. */
final class ChartPlot {
  private static final int WIDTH = 720;
  private static final int HEIGHT = 320;
  private static final int LEFT = 80;
  private static final int RIGHT = 180;
  private static final int TOP = 50;
  private static final int BOTTOM = 50;
  private static final int TICKS = 4;
  private static final List<String> COLORS = List.of("#0b6e4f", "#b23a48", "#2b5c8a", "#a6761d");

  private final Svg svg = new Svg(WIDTH, HEIGHT);
  private final Axis across;
  private final Axis up;

  /** Values from {@code least} to {@code most}, as parts of the axis' length. */
  private record Axis(double least, double most, boolean logarithmic) {
    static Axis of(Chart chart, ToDoubleFunction<Chart.Point> coordinate) {
      DoubleSummaryStatistics values =
          chart.lines().stream()
              .flatMap(line -> drawn(chart, line))
              .mapToDouble(coordinate)
              .summaryStatistics();
      return chart.logarithmic()
          ? new Axis(values.getMin() / 1.1, values.getMax() * 1.1, true)
          : new Axis(0, values.getMax() * 1.05, false);
    }

    double part(double value) {
      return logarithmic
          ? Math.log(value / least) / Math.log(most / least)
          : (value - least) / (most - least);
    }

    /** Where a part of the axis is. */
    double at(double part) {
      return logarithmic ? least * Math.pow(most / least, part) : least + part * (most - least);
    }
  }

  private ChartPlot(Chart chart) {
    across = Axis.of(chart, Chart.Point::x);
    up = Axis.of(chart, Chart.Point::y);
  }

  /** An SVG document. */
  static String of(Chart chart) {
    ChartPlot plot = new ChartPlot(chart);
    plot.frame(chart);
    for (int i = 0; i < chart.lines().size(); i++) {
      Chart.Line line = chart.lines().get(i);
      plot.line(
          line.name(), drawn(chart, line).toList(), COLORS.get(i % COLORS.size()), TOP + 18 * i);
    }
    return plot.svg.end();
  }

  private void frame(Chart chart) {
    svg.text(LEFT, 20, "start", "#000", chart.title());
    for (int i = 0; i <= TICKS; i++) {
      double value = up.at((double) i / TICKS);
      svg.line(LEFT, y(value), WIDTH - RIGHT, y(value), "#ddd");
      svg.text(LEFT - 8, y(value) + 4, "end", Svg.GREY, Svg.label(value));
      double below = across.at((double) i / TICKS);
      svg.text(x(below), HEIGHT - BOTTOM + 18, "middle", Svg.GREY, Svg.label(below));
    }
    svg.text(LEFT - 8, TOP - 12, "end", Svg.GREY, chart.y());
    svg.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12, "middle", Svg.GREY, chart.x());
  }

  /** A logarithmic axis has no place for nothing, nor for less. */
  private static Stream<Chart.Point> drawn(Chart chart, Chart.Line line) {
    return line.points().stream()
        .filter(point -> !chart.logarithmic() || (point.x() > 0 && point.y() > 0));
  }

  private void line(String name, List<Chart.Point> points, String color, double legend) {
    StringBuilder path = new StringBuilder();
    for (Chart.Point point : points) {
      path.append(Svg.number(x(point.x()), 1)).append(',');
      path.append(Svg.number(y(point.y()), 1)).append(' ');
      svg.dot(x(point.x()), y(point.y()), color);
    }
    svg.add("<polyline points='%s' fill='none' stroke='%s'/>".formatted(path, color));
    svg.text(WIDTH - RIGHT + 8, legend, "start", color, name);
  }

  private double x(double value) {
    return LEFT + across.part(value) * (WIDTH - LEFT - RIGHT);
  }

  private double y(double value) {
    return HEIGHT - BOTTOM - up.part(value) * (HEIGHT - TOP - BOTTOM);
  }
}
