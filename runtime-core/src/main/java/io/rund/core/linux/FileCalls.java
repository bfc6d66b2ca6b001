package io.rund.core.linux;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * System calls on files whose failure is an answer and not an exception: -1, and the error in
 * {@link Native#getLastError()}, which {@link #result} turns into one number. Paths are addresses
 * of zero-terminated bytes, so that names need not be text and calls allocate nothing.
 */
public final class FileCalls {
  static {
    Native.register(FileCalls.class, NativeLibrary.getInstance("c"));
  }

  private FileCalls() {}

  /** What a call returned, or a negative errno. */
  public static int result(int returned) {
    return returned >= 0 ? returned : -Native.getLastError();
  }

  /** What a call returned, or a negative errno. */
  public static long result(long returned) {
    return returned >= 0 ? returned : -Native.getLastError();
  }

  public static native int openat(int folder, long path, int flags, int mode);

  /** {@code how} is a struct open_how of {@code size} bytes. The C library has no openat2. */
  public static int openat2(int folder, long path, long how, long size) {
    return (int) syscall(Linux.SYS_OPENAT2, folder, path, how, size);
  }

  private static native long syscall(long number, long a, long b, long c, long d);

  public static native int close(int fd);

  public static native int fcntl(int fd, int command, long argument);

  public static native int statx(int folder, long path, int flags, int mask, long statx);

  public static native long readlinkat(int folder, long path, long buffer, long size);

  public static native int symlinkat(long target, int folder, long path);

  /** {@code device} is the kernel's 32 bits, unsigned. */
  public static native int mknodat(int folder, long path, int mode, long device);

  public static native int mkdirat(int folder, long path, int mode);

  public static native int unlinkat(int folder, long path, int flags);

  public static native int renameat2(int folder, long path, int newFolder, long newPath, int flags);

  public static native int linkat(int folder, long path, int newFolder, long newPath, int flags);

  public static native int fchmodat(int folder, long path, int mode, int flags);

  public static native int fchownat(int folder, long path, int uid, int gid, int flags);

  /** {@code times} are two struct timespec: access, modification. */
  public static native int utimensat(int folder, long path, long times, int flags);

  public static native int truncate(long path, long size);

  public static native int ftruncate(int fd, long size);

  public static native int fstatfs(int fd, long statfs);

  public static native long lseek(int fd, long offset, int whence);

  public static native long copy_file_range(
      int in, long inOffset, int out, long outOffset, long length, int flags);

  public static native int fallocate(int fd, int mode, long offset, long length);

  public static native int fsync(int fd);

  public static native int fdatasync(int fd);

  public static native int syncfs(int fd);

  public static native long getdents64(int fd, long buffer, long size);

  public static native long preadv(int fd, long iovec, int count, long offset);

  public static native long pwritev2(int fd, long iovec, int count, long offset, int flags);

  public static native int setxattr(long path, long name, long value, long size, int flags);

  public static native long getxattr(long path, long name, long value, long size);

  public static native long listxattr(long path, long list, long size);

  public static native int removexattr(long path, long name);
}
