package io.rund.shim;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.PatternLayout;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BoundedFileAppenderTest {
  private static final int LIMIT = 1000;

  @TempDir private Path folder;

  private BoundedFileAppender open(Path file) {
    LoggerContext context = new LoggerContext();
    PatternLayout layout = new PatternLayout();
    layout.setContext(context);
    layout.setPattern("%msg%n");
    layout.start();
    LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
    encoder.setContext(context);
    encoder.setLayout(layout);
    encoder.start();
    BoundedFileAppender appender = new BoundedFileAppender(file, LIMIT);
    appender.setContext(context);
    appender.setEncoder(encoder);
    appender.start();
    return appender;
  }

  private static void say(BoundedFileAppender appender, String message) {
    LoggingEvent event = new LoggingEvent();
    event.setLevel(Level.INFO);
    event.setMessage(message);
    appender.doAppend(event);
  }

  @Test
  void neitherFileGrowsBeyondTheLimitAndTheLastLinesAreThere() throws IOException {
    Path file = folder.resolve("engine.log");
    BoundedFileAppender appender = open(file);
    IntStream.range(0, 500).forEach(i -> say(appender, "line " + i));
    appender.stop();
    Path before = folder.resolve("engine.log.1");
    assertTrue(Files.size(file) <= LIMIT, "bytes: " + Files.size(file));
    assertTrue(Files.size(before) <= LIMIT + 10, "bytes: " + Files.size(before));
    List<String> lines = new ArrayList<>(Files.readAllLines(before));
    lines.addAll(Files.readAllLines(file));
    int first = 500 - lines.size();
    assertEquals(IntStream.range(first, 500).mapToObj(i -> "line " + i).toList(), lines);
    assertTrue(lines.size() > LIMIT / 10, "lines: " + lines.size());
  }

  /** As the launcher opens the engine's standard error. */
  @Test
  void whoeverElseAppendsToTheFileGoesOnInIt() throws IOException {
    Path file = folder.resolve("engine.log");
    try (OutputStream other =
        Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      BoundedFileAppender appender = open(file);
      say(appender, "x".repeat(LIMIT));
      other.write("last words\n".getBytes(UTF_8));
      say(appender, "after them");
      appender.stop();
    }
    assertEquals("last words\nafter them\n", Files.readString(file));
  }
}
