package io.rund.shim.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** A timeline as text: a bar for each phase, in the order of their beginnings. */
final class Waterfall {
  private static final int MIN_BAR = 20;

  /** {@code startNanos} and {@code endNanos} count from the first instant. */
  record Phase(String name, long startNanos, long endNanos) {}

  private Waterfall() {}

  /** Lines of at most {@code width} characters, or a little more on a very narrow terminal. */
  static List<String> lines(List<Phase> phases, int width) {
    long total = phases.stream().mapToLong(Phase::endNanos).max().orElse(0);
    int names = phases.stream().mapToInt(phase -> phase.name().length()).max().orElse(0);
    String figures = "%10.1f ms %10.1f ms  ";
    int bar = Math.max(MIN_BAR, width - names - 2 - String.format(figures, 0.0, 0.0).length());
    List<String> lines = new ArrayList<>();
    lines.add(
        ("%-" + (names + 2) + "s%10s    %10s")
            .formatted("PHASE", "BEGINS", "TAKES")
            .stripTrailing());
    for (Phase phase :
        phases.stream().sorted(Comparator.comparingLong(Phase::startNanos)).toList()) {
      long took = phase.endNanos() - phase.startNanos();
      lines.add(
          phase.name()
              + " ".repeat(names - phase.name().length() + 2)
              + figures.formatted(phase.startNanos() / 1e6, took / 1e6)
              + bar(phase, Math.max(1, total), bar));
    }
    lines.add(String.format(Locale.ROOT, "in all %.1f ms", total / 1e6));
    return lines;
  }

  /** At least one mark, so that no phase is invisible. */
  private static String bar(Phase phase, long total, int width) {
    int start = (int) Math.min(width - 1, phase.startNanos() * width / total);
    int end = (int) Math.ceilDiv(phase.endNanos() * width, total);
    return " ".repeat(start) + "█".repeat(Math.max(1, Math.min(width, end) - start));
  }
}
