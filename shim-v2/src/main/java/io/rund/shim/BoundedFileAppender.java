package io.rund.shim;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.FileAppender;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Appends to a file that has a greatest length, beyond which it is copied to the one before it
 * ({@code FILE.1}) and begins anew. Unlike with logback's rolling appender it stays the same file:
 * it is this process's standard error, too, where a JVM reports its own death.
 */
final class BoundedFileAppender extends FileAppender<ILoggingEvent> {
  private final Path path;
  private final Path before;
  private final long limit;

  /**
   * @param limit in bytes; an event that passes it is still written whole
   */
  BoundedFileAppender(Path file, long limit) {
    this.path = file;
    this.before = file.resolveSibling(file.getFileName() + ".1");
    this.limit = limit;
    setFile(file.toString());
  }

  /** Called under the appender's lock. */
  @Override
  protected void writeOut(ILoggingEvent event) throws IOException {
    super.writeOut(event);
    if (Files.size(path) > limit) {
      beginAnew();
    }
  }

  private void beginAnew() throws IOException {
    try {
      var _ = Files.copy(path, before, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      // As when there is no room for two: the lines to come matter more.
      addError("cannot keep " + before, e);
    }
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE)) {
      var _ = file.truncate(0);
    }
  }
}
