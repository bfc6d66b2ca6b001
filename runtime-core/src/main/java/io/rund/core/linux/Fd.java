package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.util.concurrent.atomic.AtomicInteger;

/** An owned file descriptor: closed once, and never used after. Safe for use by several threads. */
public final class Fd implements AutoCloseable {
  private final AtomicInteger fd;

  public Fd(int fd) {
    if (fd < 0) {
      throw new IllegalArgumentException("not a file descriptor: " + fd);
    }
    this.fd = new AtomicInteger(fd);
  }

  /** Opens a path close-on-exec; {@code flags} are those of open(2). */
  public static Fd open(String path, int flags) throws LastErrorException {
    return new Fd(Libc.open(path, flags | Linux.O_CLOEXEC, 0600));
  }

  /** A descriptor of a directory or file for system calls that take one; does not open it. */
  public static Fd openPath(String path) throws LastErrorException {
    return open(path, Linux.O_PATH);
  }

  /** A non-blocking eventfd whose counter is 0. */
  public static Fd eventFd() {
    return new Fd(Libc.eventfd(0, Linux.EFD_CLOEXEC | Linux.EFD_NONBLOCK));
  }

  /** How many descriptors this process may have: RLIMIT_NOFILE. */
  public static int limit() {
    try (Memory limits = new Memory(2 * Long.BYTES)) {
      Libc.getrlimit(Linux.RLIMIT_NOFILE, Pointer.nativeValue(limits));
      return (int) Math.min(limits.getLong(0), Integer.MAX_VALUE);
    }
  }

  /** The number, for a system call made while the owner is known to be alive. */
  public int number() {
    int number = fd.get();
    if (number < 0) {
      throw new IllegalStateException("file descriptor is closed");
    }
    return number;
  }

  /** Another descriptor of the same open file. */
  public Fd duplicate() throws LastErrorException {
    return new Fd(Libc.fcntl(number(), Linux.F_DUPFD_CLOEXEC, 0));
  }

  public boolean isOpen() {
    return fd.get() >= 0;
  }

  /**
   * Whatever close(2) answers, the descriptor is gone; an error, as of a file on a server, is of
   * what was written before. Who has to know calls fsync(2).
   */
  @Override
  public void close() {
    int number = fd.getAndSet(-1);
    if (number >= 0 && Libc.Try.close(number) < 0 && Native.getLastError() == Linux.EBADF) {
      throw new IllegalStateException("file descriptor %d was not open".formatted(number));
    }
  }

  @Override
  public String toString() {
    return "fd " + fd.get();
  }
}
