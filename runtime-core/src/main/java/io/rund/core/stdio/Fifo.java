package io.rund.core.stdio;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * The engine's end of a FIFO that containerd's client made, or of a pipe to a log. Reads and writes
 * do not block.
 */
final class Fifo implements AutoCloseable {
  /** What {@link #read} and {@link #write} return when they would have to wait. */
  static final int WOULD_BLOCK = -2;

  /** What {@link #write} returns when nobody will ever read. */
  static final int NO_READER = -3;

  private final String path;
  private final Fd fd;

  /**
   * For input: a write end of our own, so that a client that comes and goes is not the end of the
   * input.
   */
  private final Fd keeper;

  private Fifo(String path, Fd fd, Fd keeper) {
    this.path = path;
    this.fd = fd;
    this.keeper = keeper;
  }

  /** For a process's stdin. Its end comes after {@link #endWhenWritersLeave}. */
  static Fifo input(String path) {
    Fd reader = open(path, Linux.O_RDONLY);
    try {
      return new Fifo(path, reader, open(path, Linux.O_WRONLY));
    } catch (RuntimeException e) {
      reader.close();
      throw e;
    }
  }

  /**
   * For a process's output. Opened for both directions: a reader may come late or go away, and the
   * writer neither blocks in open nor meets EPIPE; closing it is the reader's end of file.
   */
  static Fifo output(String path) {
    return new Fifo(path, open(path, Linux.O_RDWR), null);
  }

  /** The write end of a pipe, owned from here on. {@code what} is for messages. */
  static Fifo ofPipe(String what, Fd writeEnd) {
    int flags = Libc.fcntl(writeEnd.number(), Linux.F_GETFL, 0);
    Libc.fcntl(writeEnd.number(), Linux.F_SETFL, flags | Linux.O_NONBLOCK);
    return new Fifo(what, writeEnd, null);
  }

  private static Fd open(String path, int mode) {
    try {
      BasicFileAttributes attributes =
          Files.readAttributes(Path.of(path), BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      if (!attributes.isOther()) {
        throw RundException.invalid("standard stream " + path + " is not a FIFO");
      }
      return Fd.open(path, mode | Linux.O_NONBLOCK);
    } catch (IOException | LastErrorException | java.nio.file.InvalidPathException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "cannot open the standard stream " + path + ": " + e, e);
    }
  }

  boolean isOpen() {
    return fd.isOpen();
  }

  int number() {
    return fd.number();
  }

  /**
   * The number of bytes read into {@code into}, -1 at the end, {@link #WOULD_BLOCK}. {@code into}
   * is direct.
   */
  int read(ByteBuffer into) {
    long address = MemorySegment.ofBuffer(into).address();
    int count = result(Libc.Try.read(fd.number(), address, into.remaining()));
    if (count > 0) {
      into.position(into.position() + count);
    }
    return count == 0 ? -1 : count;
  }

  /**
   * The number of bytes written from {@code from}, {@link #WOULD_BLOCK}, or {@link #NO_READER}.
   * {@code from} is direct.
   */
  int write(ByteBuffer from) {
    long address = MemorySegment.ofBuffer(from).address();
    int count = result(Libc.Try.write(fd.number(), address, from.remaining()));
    if (count > 0) {
      from.position(from.position() + count);
    }
    return count;
  }

  private int result(long returned) {
    if (returned >= 0) {
      return (int) returned;
    }
    int errno = Native.getLastError();
    if (errno == Linux.EAGAIN || errno == Linux.EINTR) {
      return WOULD_BLOCK;
    }
    if (errno == Linux.EPIPE) {
      return NO_READER;
    }
    throw RundException.internal("standard stream %s: errno %d".formatted(path, errno), null);
  }

  /** Lets the input end once its writers have closed it and all of it is read. */
  void endWhenWritersLeave() {
    keeper.close();
  }

  @Override
  public void close() {
    fd.close();
    if (keeper != null) {
      keeper.close();
    }
  }
}
