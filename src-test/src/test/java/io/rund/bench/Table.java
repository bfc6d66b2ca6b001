package io.rund.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Prints what is in the folder of results as a table. Argument: the folder. */
final class Table {
  private Table() {}

  public static void main(String[] arguments) throws IOException {
    ObjectMapper json = new ObjectMapper();
    System.out.printf(
        "%-8s %-62s %12s %12s %7s %7s%n", "id", "what", "rund", "other", "ratio", "target");
    try (Stream<Path> files = Files.list(Path.of(arguments[0]))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".json")).sorted().toList()) {
        JsonNode result = json.readTree(file.toFile());
        String unit = result.path("unit").asText();
        System.out.printf(
            "%-8s %-62s %9.1f %s %9.1f %s %7.2f %7.2f %s%n",
            result.path("id").asText(),
            result.path("what").asText(),
            Comparison.median(values(result.path("a"))),
            unit,
            Comparison.median(values(result.path("b"))),
            unit,
            result.path("ratio").asDouble(),
            result.path("target").asDouble(),
            result.path("holds").asBoolean() ? "holds" : "MISSED");
      }
    }
  }

  private static List<Double> values(JsonNode array) {
    List<Double> values = new ArrayList<>();
    array.forEach(value -> values.add(value.asDouble()));
    return values;
  }
}
