package io.rund.bench;

import java.io.IOException;
import java.nio.file.Path;

/** Prints what is in the folder of results as a table. Argument: the folder. */
final class Table {
  private Table() {}

  public static void main(String[] arguments) throws IOException {
    System.out.printf(
        "%-17s %-72s %12s %12s %7s %7s%n", "id", "what", "rund", "other", "ratio", "target");
    for (Comparison result : Comparison.readAll(Path.of(arguments[0]))) {
      System.out.printf(
          "%-17s %-72s %9.1f %s %9.1f %s %7.2f %7.2f %s%n",
          result.id(),
          result.what(),
          Comparison.median(result.a()),
          result.unit(),
          Comparison.median(result.b()),
          result.unit(),
          result.ratio(),
          result.target(),
          result.holds() ? "holds" : "MISSED");
    }
  }
}
