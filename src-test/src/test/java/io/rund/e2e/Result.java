package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Locale;

/** How a command ended. Its assertions show all of its output, for emulated time is expensive. */
record Result(String command, int exit, String out, String err) {

  Result expectExit(int status) {
    assertEquals(status, exit, this::toString);
    return this;
  }

  /** The value of the one line {@code key=value} of the output. */
  String value(String key) {
    List<String> found = values(key);
    assertEquals(1, found.size(), () -> "lines for " + key + " in " + this);
    return found.getFirst();
  }

  List<String> values(String key) {
    String prefix = key + "=";
    return out.lines()
        .filter(line -> line.startsWith(prefix))
        .map(line -> line.substring(prefix.length()).strip())
        .toList();
  }

  long number(String key) {
    return Long.parseLong(value(key));
  }

  Result expect(String key, String expected) {
    assertEquals(expected, value(key), () -> key + " in " + this);
    return this;
  }

  /** Asserts that the text of {@code key}, whatever its case, has each of {@code words} in it. */
  Result expectWords(String key, String... words) {
    String text = value(key).toLowerCase(Locale.ROOT);
    for (String word : words) {
      assertTrue(
          text.contains(word.toLowerCase(Locale.ROOT)),
          () -> "\"%s\" is missing in %s of %s".formatted(word, key, this));
    }
    return this;
  }

  @Override
  public String toString() {
    return "exit %d of:%n%s%n--- stdout ---%n%s%n--- stderr ---%n%s"
        .formatted(exit, command, out, err);
  }
}
