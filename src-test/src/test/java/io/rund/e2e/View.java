package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/** What the probe saw: its lines {@code key=value}. */
record View(Map<String, String> lines) {
  /** The probe has more to say than this, wherever it runs. */
  private static final int LEAST = 80;

  static View of(List<String> output) {
    Map<String, String> lines = new TreeMap<>();
    for (String line : output) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        lines.put(line.substring(0, equals), line.substring(equals + 1));
      }
    }
    return new View(lines);
  }

  /** Asserts that the probe has run at all. */
  void assertSeen(Object where) {
    assertTrue(lines.size() > LEAST, () -> "the probe saw next to nothing: %s".formatted(where));
  }

  /** What differs in {@code rund}, this being the view under runc, and is not allowed to. */
  List<String> unexpectedIn(View rund) {
    List<String> unexpected = new ArrayList<>();
    TreeSet<String> keys = new TreeSet<>(lines.keySet());
    keys.addAll(rund.lines.keySet());
    for (String key : keys) {
      String there = lines.getOrDefault(key, "(absent)");
      String here = rund.lines.getOrDefault(key, "(absent)");
      if (!there.equals(here) && !AllowedDifference.covers(key, there, here)) {
        unexpected.add("%s: runc %s, rund %s".formatted(key, there, here));
      }
    }
    return unexpected;
  }
}
