package io.rund.bench;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** An SVG document that is being drawn. Coordinates are pixels from the upper left corner. */
final class Svg {
  static final String GREY = "#555";

  private final StringBuilder svg = new StringBuilder();

  Svg(int width, int height) {
    add(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='12'>"
            .formatted(width, height));
    add("<rect width='%d' height='%d' fill='white'/>".formatted(width, height));
  }

  /** Adds an element; numbers in it come from {@link #number}. */
  void add(String element) {
    svg.append(element).append('\n');
  }

  /**
   * @param anchor which end of the text is at x: start, middle or end
   */
  void text(double x, double y, String anchor, String color, String content) {
    String escaped = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    add(
        "<text x='%s' y='%s' text-anchor='%s' fill='%s'>%s</text>"
            .formatted(number(x, 1), number(y, 1), anchor, color, escaped));
  }

  void line(double x1, double y1, double x2, double y2, String color) {
    add(
        "<line x1='%s' y1='%s' x2='%s' y2='%s' stroke='%s'/>"
            .formatted(number(x1, 1), number(y1, 1), number(x2, 1), number(y2, 1), color));
  }

  void dot(double x, double y, String color) {
    add("<circle cx='%s' cy='%s' r='3.5' fill='%s'/>".formatted(number(x, 1), number(y, 1), color));
  }

  void box(double x, double y, double width, double height, String color) {
    add(
        "<rect x='%s' y='%s' width='%s' height='%s' fill='%s'/>"
            .formatted(number(x, 1), number(y, 1), number(width, 1), number(height, 1), color));
  }

  /** SVG knows only the decimal point. */
  static String number(double value, int decimals) {
    return BigDecimal.valueOf(value).setScale(decimals, RoundingMode.HALF_UP).toPlainString();
  }

  /** A label of an axis: no more digits than it needs. */
  static String label(double value) {
    return number(value, value >= 20 || value == Math.rint(value) ? 0 : value >= 2 ? 1 : 2);
  }

  /** The whole document. */
  String end() {
    return svg.append("</svg>\n").toString();
  }
}
