package io.rund.core.stdio;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.core.linux.Pipe;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Output that is appended to a file. A write to a file may wait for its disk, so a platform thread
 * does it, behind a pipe: the loop of the VM writes into the pipe and waits for nobody. The thread
 * lives until the pipe's last write end is closed.
 */
final class FileLog implements LogTarget {
  private static final Logger log = LoggerFactory.getLogger(FileLog.class);
  private static final int BUFFER_SIZE = 32 * 1024;
  private static final int MODE = 0644;

  private final Path path;
  private final Fd file;
  private final Pipe pipe = Pipe.open();
  private final CompletableFuture<Void> done = new CompletableFuture<>();

  private FileLog(Path path, int flags) {
    this.path = path;
    try {
      file = open(path, flags);
    } catch (LastErrorException e) {
      pipe.close();
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "cannot open the log file " + path + ": " + e, e);
    }
    Thread.ofPlatform().daemon().name("log file").start(this::copy);
  }

  /**
   * Not blocking: of a FIFO that nobody reads the opening would wait. The thread that writes may.
   */
  private static Fd open(Path path, int flags) {
    int opening = Linux.O_WRONLY | Linux.O_APPEND | Linux.O_CLOEXEC | Linux.O_NONBLOCK;
    Fd fd = new Fd(Libc.open(path.toString(), flags | opening, MODE));
    Libc.fcntl(fd.number(), Linux.F_SETFL, Linux.O_APPEND);
    return fd;
  }

  /** A file that is made, with its folders, if it is not there. */
  static FileLog create(Path path) {
    try {
      Files.createDirectories(path.getParent());
    } catch (IOException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT,
          "cannot make the folder of the log file " + path + ": " + e,
          e);
    }
    return new FileLog(path, Linux.O_CREAT);
  }

  /** A file that is there. */
  static FileLog append(Path path) {
    return new FileLog(path, 0);
  }

  private void copy() {
    boolean failing = false;
    try (Arena arena = Arena.ofConfined()) {
      long buffer = arena.allocate(BUFFER_SIZE).address();
      for (; ; ) {
        long count = Libc.Try.read(pipe.readEnd().number(), buffer, BUFFER_SIZE);
        if (count == 0 || (count < 0 && Native.getLastError() != Linux.EINTR)) {
          return;
        }
        // A full disk must not stop the program that writes; what it says meanwhile is lost.
        if (count > 0 && !write(buffer, count) && !failing) {
          failing = true;
          log.warn("output is lost: cannot write to {}: errno {}", path, Native.getLastError());
        }
      }
    } finally {
      pipe.readEnd().close();
      file.close();
      done.complete(null);
    }
  }

  private boolean write(long buffer, long count) {
    for (long written = 0; written < count; ) {
      long more = Libc.Try.write(file.number(), buffer + written, count - written);
      if (more < 0 && Native.getLastError() != Linux.EINTR) {
        return false;
      }
      written += Math.max(more, 0);
    }
    return true;
  }

  @Override
  public Fifo stdout() {
    return Fifo.ofPipe(path.toString(), pipe.writeEnd().duplicate());
  }

  @Override
  public Fifo stderr() {
    return stdout();
  }

  @Override
  public CompletableFuture<Void> done() {
    // Only those who took an end write from here on.
    pipe.writeEnd().close();
    return done;
  }

  @Override
  public void close() {
    pipe.writeEnd().close();
  }
}
