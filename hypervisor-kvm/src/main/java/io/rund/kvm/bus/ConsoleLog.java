package io.rund.kvm.bus;

import io.rund.core.error.RundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The file that a guest's console goes to, line by line. It stops at {@link #LIMIT} bytes, since
 * the guest decides how much it prints. Belongs to its {@link Uart8250}, which serialises calls.
 */
public final class ConsoleLog implements ConsoleOutput, AutoCloseable {
  /** Bytes a guest may print. */
  static final int LIMIT = 8 << 20;

  private static final Logger log = LoggerFactory.getLogger(ConsoleLog.class);
  private static final byte[] CUT =
      "\n[console log is full, the rest is lost]\n".getBytes(StandardCharsets.US_ASCII);

  private final Path path;
  private final OutputStream file;
  private final byte[] line = new byte[512];
  private int length;
  private int written;

  /** Creates or truncates the file. */
  public ConsoleLog(Path path) {
    this.path = path;
    try {
      this.file = Files.newOutputStream(path);
    } catch (IOException e) {
      throw RundException.invalid(
          "cannot write the guest's console to " + path + ": " + e + "; check the folder");
    }
  }

  @Override
  public void append(byte character) {
    line[length++] = character;
    if (character == '\n' || length == line.length) {
      flush();
    }
  }

  private void flush() {
    if (written < LIMIT) {
      written += length;
      try {
        file.write(line, 0, length);
        if (written >= LIMIT) {
          file.write(CUT);
        }
      } catch (IOException e) {
        log.warn("console log {} ends here: {}", path, e.toString());
        written = LIMIT;
      }
    }
    length = 0;
  }

  /** Writes what is left of the last line. The vCPUs have stopped. */
  @Override
  public void close() {
    flush();
    try {
      file.close();
    } catch (IOException e) {
      log.warn("closing console log {}: {}", path, e.toString());
    }
  }
}
