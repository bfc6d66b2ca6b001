package io.rund.shim;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.LayoutBase;
import ch.qos.logback.core.encoder.LayoutWrappingEncoder;
import ch.qos.logback.core.spi.ContextAwareBase;
import io.rund.core.config.RundConfig.LogLevel;
import io.rund.shim.containerd.Namespaces;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.slf4j.LoggerFactory;

/**
 * The log, set up without a configuration file: reading one takes longer than everything else that
 * the log does while an engine starts.
 *
 * <p>As logback's {@link Configurator} (META-INF/services) it leaves the log silent, until {@link
 * #open} names a file.
 */
public final class EngineLog extends ContextAwareBase implements Configurator {
  /** Of the file, in bytes. It is in memory where /run is, and a start writes half a kilobyte. */
  private static final long LIMIT = 16 << 20;

  @Override
  public ExecutionStatus configure(LoggerContext context) {
    context.getLogger(Logger.ROOT_LOGGER_NAME).setLevel(Level.WARN);
    return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
  }

  /** Appends to {@code file} from now on. */
  static void open(Path file, LogLevel level) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    LayoutWrappingEncoder<ILoggingEvent> encoder = new LayoutWrappingEncoder<>();
    encoder.setContext(context);
    encoder.setLayout(new Line());
    BoundedFileAppender appender = new BoundedFileAppender(file, LIMIT);
    appender.setContext(context);
    appender.setName("file");
    appender.setEncoder(encoder);
    encoder.start();
    appender.start();
    Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
    root.addAppender(appender);
    root.setLevel(Level.valueOf(level.name()));
    // Netty tells every detail of its start at debug.
    context.getLogger("io.netty").setLevel(Level.INFO);
  }

  /** One line for each event, UTC, then a stack trace if there is one. */
  private static final class Line extends LayoutBase<ILoggingEvent> {
    @Override
    public String doLayout(ILoggingEvent event) {
      String logger = event.getLoggerName();
      String container = event.getMDCPropertyMap().get(Namespaces.LOG_KEY);
      StringBuilder line =
          new StringBuilder(160)
              .append(Instant.ofEpochMilli(event.getTimeStamp()).truncatedTo(ChronoUnit.MILLIS))
              .append(' ')
              .append(event.getLevel())
              .append(" [")
              .append(event.getThreadName())
              .append("] ")
              .append(logger, logger.lastIndexOf('.') + 1, logger.length())
              .append(": ")
              .append(container == null ? "" : container + ": ")
              .append(event.getFormattedMessage())
              .append('\n');
      if (event.getThrowableProxy() != null) {
        line.append(ThrowableProxyUtil.asString(event.getThrowableProxy()));
      }
      return line.toString();
    }
  }
}
