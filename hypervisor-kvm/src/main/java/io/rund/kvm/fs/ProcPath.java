package io.rund.kvm.fs;

import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * The path that a descriptor of this process has in /proc, for what cannot be done with an O_PATH
 * descriptor itself. Reused; for one thread.
 */
final class ProcPath {
  private static final byte[] OWN_DESCRIPTORS =
      "/proc/self/fd/".getBytes(StandardCharsets.US_ASCII);

  /** The folder of this process's descriptors: where an O_PATH descriptor has a path. */
  private static final class Proc {
    static final Fd FOLDER = Fd.open("/proc/self/fd", Linux.O_PATH | Linux.O_DIRECTORY);
  }

  private final MemorySegment path = Arena.ofAuto().allocate(32);

  ProcPath() {
    MemorySegment.copy(OWN_DESCRIPTORS, 0, path, ValueLayout.JAVA_BYTE, 0, OWN_DESCRIPTORS.length);
  }

  /** Folder for {@link #in}. */
  static int folder() {
    return Proc.FOLDER.number();
  }

  /** Path of a descriptor, relative to {@link #folder}; until the next call. */
  long in(int fd) {
    return absolute(fd) + OWN_DESCRIPTORS.length;
  }

  /**
   * Absolute path of a descriptor; until the next call. It leads to the file itself, even a link.
   */
  long absolute(int fd) {
    int digits = 1;
    for (int rest = fd / 10; rest > 0; rest /= 10) {
      digits++;
    }
    int end = OWN_DESCRIPTORS.length + digits;
    path.set(ValueLayout.JAVA_BYTE, end, (byte) 0);
    int rest = fd;
    for (int at = end - 1; at >= OWN_DESCRIPTORS.length; at--) {
      path.set(ValueLayout.JAVA_BYTE, at, (byte) ('0' + rest % 10));
      rest /= 10;
    }
    return path.address();
  }

  /** Opens the file behind a descriptor; {@code flags} decide what it is opened for. */
  int reopen(int fd, int flags) {
    return FileCalls.result(FileCalls.openat(folder(), in(fd), flags | Linux.O_CLOEXEC, 0));
  }
}
