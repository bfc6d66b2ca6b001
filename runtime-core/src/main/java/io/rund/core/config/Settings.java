package io.rund.core.config;

import com.fasterxml.jackson.databind.JsonNode;
import io.rund.core.error.RundException;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The keys of one file, each taken once by name, checked, with a default; what nobody took is
 * unknown.
 */
final class Settings {
  private static final Pattern QUANTITY = Pattern.compile("(\\d{1,12}) ?([A-Za-z]+)");

  private final String source;
  private final JsonNode root;
  private final Set<String> known = new TreeSet<>();

  Settings(String source, JsonNode root) {
    this.source = source;
    this.root = root;
  }

  private JsonNode take(String key) {
    known.add(key);
    return root.path(key);
  }

  String text(String key, String otherwise) {
    JsonNode value = take(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    if (!value.isTextual() || value.asText().isEmpty()) {
      throw bad(key, value, "a text in quotes that is not empty");
    }
    return value.asText();
  }

  /** A text that may be empty, which means that there is none. */
  Optional<String> optional(String key, String otherwise) {
    JsonNode value = take(key);
    boolean none = value.isTextual() && value.asText().isEmpty();
    return none ? Optional.empty() : Optional.of(text(key, otherwise));
  }

  boolean flag(String key, boolean otherwise) {
    JsonNode value = take(key);
    if (!value.isMissingNode() && !value.isBoolean()) {
      throw bad(key, value, "true or false");
    }
    return value.asBoolean(otherwise);
  }

  int integer(String key, int otherwise, int least, int most) {
    JsonNode value = take(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    if (!value.isInt() || value.asInt() < least || value.asInt() > most) {
      throw bad(key, value, "a whole number from %d to %d".formatted(least, most));
    }
    return value.asInt();
  }

  /** A quantity such as "256MiB", in bytes. */
  long bytes(String key, long otherwise, long least, long most) {
    JsonNode value = take(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    String allowed =
        "a size from \"%dMiB\" to \"%dGiB\", in MiB or GiB".formatted(least >> 20, most >> 30);
    Matcher quantity = QUANTITY.matcher(value.asText());
    if (!value.isTextual() || !quantity.matches()) {
      throw bad(key, value, allowed);
    }
    long unit =
        switch (quantity.group(2)) {
          case "MiB" -> 1L << 20;
          case "GiB" -> 1L << 30;
          default -> throw bad(key, value, allowed);
        };
    long bytes = Long.parseLong(quantity.group(1)) * unit;
    if (bytes < least || bytes > most) {
      throw bad(key, value, allowed);
    }
    return bytes;
  }

  /** A time such as "90s" or "10m"; at least a second. */
  Duration duration(String key, Duration otherwise) {
    JsonNode value = take(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    String allowed = "a time such as \"90s\", \"10m\" or \"2h\"";
    Matcher quantity = QUANTITY.matcher(value.asText());
    if (!value.isTextual() || !quantity.matches()) {
      throw bad(key, value, allowed);
    }
    long count = Long.parseLong(quantity.group(1));
    Duration duration =
        switch (quantity.group(2)) {
          case "s" -> Duration.ofSeconds(count);
          case "m" -> Duration.ofMinutes(count);
          case "h" -> Duration.ofHours(count);
          default -> throw bad(key, value, allowed);
        };
    if (duration.isZero()) {
      throw bad(key, value, allowed);
    }
    return duration;
  }

  <E extends Enum<E>> E choice(String key, E otherwise) {
    JsonNode value = take(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    E[] values = otherwise.getDeclaringClass().getEnumConstants();
    for (E candidate : values) {
      if (value.asText().equals(candidate.name().toLowerCase(Locale.ROOT))) {
        return candidate;
      }
    }
    throw bad(key, value, "one of " + RundConfig.names(values));
  }

  /** A list of names, each one of {@code allowed}; none if the key is missing. */
  Set<String> names(String key, Set<String> allowed) {
    JsonNode value = take(key);
    Set<String> found = new TreeSet<>();
    String possible = "a list of names out of " + allowed;
    if (!value.isMissingNode() && !value.isArray()) {
      throw bad(key, value, possible);
    }
    for (JsonNode name : value) {
      if (!name.isTextual() || !allowed.contains(name.asText())) {
        throw bad(key, value, possible);
      }
      found.add(name.asText());
    }
    return Collections.unmodifiableSet(found);
  }

  /** To be called when every known key has been taken. */
  void refuseUnknown() {
    for (Iterator<String> names = root.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!known.contains(name)) {
        throw RundException.invalid(
            "%s: unknown key %s; known keys are %s"
                .formatted(source, name, String.join(", ", known)));
      }
    }
  }

  private RundException bad(String key, JsonNode value, String allowed) {
    return RundException.invalid(
        "%s: %s = %s is not possible: it must be %s".formatted(source, key, value, allowed));
  }
}
