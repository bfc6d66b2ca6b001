package io.rund.shim.cli;

import io.rund.core.error.RundException;
import java.util.Locale;
import java.util.Map;

/** Signals by name or number (x86-64, signal(7)). */
final class Signals {
  private static final Map<String, Integer> NUMBERS =
      Map.ofEntries(
          Map.entry("HUP", 1),
          Map.entry("INT", 2),
          Map.entry("QUIT", 3),
          Map.entry("ABRT", 6),
          Map.entry("KILL", 9),
          Map.entry("USR1", 10),
          Map.entry("USR2", 12),
          Map.entry("PIPE", 13),
          Map.entry("ALRM", 14),
          Map.entry("TERM", 15),
          Map.entry("CHLD", 17),
          Map.entry("CONT", 18),
          Map.entry("STOP", 19),
          Map.entry("TSTP", 20),
          Map.entry("WINCH", 28));

  private static final int MAX = 64;

  private Signals() {}

  /** {@code text} is such as "9", "KILL", "SIGKILL" or "sigkill". */
  static int parse(String text) {
    String name = text.toUpperCase(Locale.ROOT);
    Integer number = NUMBERS.get(name.startsWith("SIG") ? name.substring(3) : name);
    if (number == null && name.matches("\\d{1,2}")) {
      number = Integer.valueOf(name);
    }
    if (number == null || number < 1 || number > MAX) {
      throw RundException.invalid(
          "%s is no signal: a number from 1 to %d, or a name such as TERM, KILL or HUP"
              .formatted(text, MAX));
    }
    return number;
  }
}
