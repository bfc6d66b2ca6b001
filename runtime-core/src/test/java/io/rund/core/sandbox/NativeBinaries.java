package io.rund.core.sandbox;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;

/** The C programs that tests of this package run, built on demand. */
final class NativeBinaries {
  private static final Path NATIVE = Path.of("..", "native").toAbsolutePath().normalize();
  static final Path ANCHOR = NATIVE.resolve("target/rund-anchor");

  private NativeBinaries() {}

  static void build() throws Exception {
    Process make =
        new ProcessBuilder("make", "-s", "-C", NATIVE.toString(), "anchor")
            .redirectErrorStream(true)
            .start();
    String output = new String(make.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, make.waitFor(), output);
  }
}
