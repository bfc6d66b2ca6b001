package io.rund.shim;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.PatternLayout;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.util.LogbackMDCAdapter;
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

  /** A logger that writes its messages alone, one in a line. */
  private static Logger open(Path file) {
    LoggerContext context = new LoggerContext();
    context.setMDCAdapter(new LogbackMDCAdapter());
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
    Logger logger = context.getLogger("bounded");
    logger.addAppender(appender);
    return logger;
  }

  @Test
  void neitherFileGrowsBeyondTheLimitAndTheLastLinesAreThere() throws IOException {
    Path file = folder.resolve("engine.log");
    Logger logger = open(file);
    IntStream.range(0, 500).forEach(i -> logger.info("line " + i));
    logger.detachAndStopAllAppenders();
    Path before = folder.resolve("engine.log.1");
    assertTrue(Files.size(file) <= LIMIT, "bytes: " + Files.size(file));
    assertTrue(Files.size(before) <= LIMIT + 10, "bytes: " + Files.size(before));
    List<String> lines = new ArrayList<>(Files.readAllLines(before));
    lines.addAll(Files.readAllLines(file));
    int first = 500 - lines.size();
    assertEquals(IntStream.range(first, 500).mapToObj(i -> "line " + i).toList(), lines);
    assertTrue(lines.size() > LIMIT / 10, "lines: " + lines.size());
  }

  @Test
  void theNextLinesAreThereAlsoWhereThoseBeforeCannotBeKept() throws IOException {
    Path file = folder.resolve("engine.log");
    Files.createFile(Files.createDirectory(folder.resolve("engine.log.1")).resolve("in the way"));
    Logger logger = open(file);
    IntStream.range(0, 500).forEach(i -> logger.info("line " + i));
    logger.detachAndStopAllAppenders();
    assertTrue(Files.size(file) <= LIMIT, "bytes: " + Files.size(file));
    assertEquals("line 499", Files.readAllLines(file).getLast());
  }

  /** As the launcher opens the engine's standard error. */
  @Test
  void whoeverElseAppendsToTheFileGoesOnInIt() throws IOException {
    Path file = folder.resolve("engine.log");
    try (OutputStream other =
        Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      Logger logger = open(file);
      logger.info("x".repeat(LIMIT));
      other.write("last words\n".getBytes(UTF_8));
      logger.info("after them");
      logger.detachAndStopAllAppenders();
    }
    assertEquals("last words\nafter them\n", Files.readString(file));
  }
}
