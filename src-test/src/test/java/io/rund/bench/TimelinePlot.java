package io.rund.bench;

import io.rund.shim.wire.engine.Phase;
import java.util.Comparator;
import java.util.List;

/** Draws a timeline as a waterfall: a bar for each phase, in the order of their beginnings. */
final class TimelinePlot {
  private static final int WIDTH = 720;
  private static final int LEFT = 160;
  private static final int RIGHT = 150;
  private static final int TOP = 40;
  private static final int ROW = 22;

  private TimelinePlot() {}

  /** An SVG document. */
  static String of(String title, List<Phase> phases) {
    long whole = phases.stream().mapToLong(Phase::getEndNanos).max().orElse(1);
    Svg svg = new Svg(WIDTH, TOP + ROW * phases.size() + 10);
    svg.text(LEFT, 20, "start", "#000", title + ", " + milliseconds(whole));
    int y = TOP;
    for (Phase phase :
        phases.stream().sorted(Comparator.comparingLong(Phase::getStartNanos)).toList()) {
      long took = phase.getEndNanos() - phase.getStartNanos();
      double scale = (double) (WIDTH - LEFT - RIGHT) / whole;
      svg.text(LEFT - 8, y + 14, "end", Svg.GREY, phase.getName());
      svg.box(
          LEFT + phase.getStartNanos() * scale,
          y + 2,
          Math.max(1, took * scale),
          ROW - 6,
          "#0b6e4f");
      svg.text(
          LEFT + phase.getEndNanos() * scale + 6, y + 14, "start", Svg.GREY, milliseconds(took));
      y += ROW;
    }
    return svg.end();
  }

  private static String milliseconds(long nanos) {
    return Svg.number(nanos / 1e6, 1) + " ms";
  }
}
