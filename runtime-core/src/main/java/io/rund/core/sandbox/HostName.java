package io.rund.core.sandbox;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** This host's name, which a container without one of its own has, as a new UTS namespace would. */
final class HostName {
  private static final Path FILE = Path.of("/proc/sys/kernel/hostname");

  private HostName() {}

  static String get() {
    try {
      return Files.readString(FILE).strip();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + FILE, e);
    }
  }
}
