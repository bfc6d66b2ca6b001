package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The system calls that rund makes, directly mapped by JNA. Pointers are plain addresses, taken
 * from {@link java.lang.foreign.MemorySegment#address()} of memory that outlives the call.
 *
 * <p>Two kinds: those that throw {@link LastErrorException} (failure is exceptional), and those of
 * {@link Try} which return -1 and leave the error in {@link Native#getLastError()} (EAGAIN and
 * EINTR are ordinary).
 */
public final class Libc {
  static {
    Native.register(Libc.class, NativeLibrary.getInstance("c"));
  }

  private Libc() {}

  public static native int open(String path, int flags, int mode) throws LastErrorException;

  public static native int close(int fd) throws LastErrorException;

  public static native int fcntl(int fd, int command, long argument) throws LastErrorException;

  public static native int ioctl(int fd, long request, long argument) throws LastErrorException;

  public static native long mmap(
      long address, long length, int prot, int flags, int fd, long offset)
      throws LastErrorException;

  public static native int munmap(long address, long length) throws LastErrorException;

  public static native int madvise(long address, long length, int advice) throws LastErrorException;

  public static native int memfd_create(String name, int flags) throws LastErrorException;

  public static native int ftruncate(int fd, long length) throws LastErrorException;

  public static native int clock_gettime(int clock, long time) throws LastErrorException;

  public static native int eventfd(int initial, int flags) throws LastErrorException;

  public static native int epoll_create1(int flags) throws LastErrorException;

  public static native int epoll_ctl(int epfd, int operation, int fd, long event)
      throws LastErrorException;

  public static native int pipe2(int[] fds, int flags) throws LastErrorException;

  public static native int fdatasync(int fd) throws LastErrorException;

  public static native int fallocate(int fd, int mode, long offset, long length)
      throws LastErrorException;

  public static native long syscall(long number, long a, long b, long c, long d, long e)
      throws LastErrorException;

  /** {@code source}, {@code type} and {@code data} may be null, as in mount(2). */
  public static native int mount(String source, String target, String type, long flags, String data)
      throws LastErrorException;

  public static native int umount2(String target, int flags) throws LastErrorException;

  /** Gives free memory of the C heap back to the kernel: malloc_trim(3). */
  public static native int malloc_trim(long pad);

  public static native long pread(int fd, long buffer, long count, long offset)
      throws LastErrorException;

  /** For the calling thread: not from a virtual one. */
  public static native int unshare(int flags) throws LastErrorException;

  /** Moves the calling thread, which must be a platform thread, into a namespace. */
  public static native int setns(int fd, int type) throws LastErrorException;

  public static native int socket(int family, int type, int protocol) throws LastErrorException;

  public static native int bind(int fd, long address, int length) throws LastErrorException;

  public static native int listen(int fd, int backlog) throws LastErrorException;

  public static native int setsockopt(int fd, int level, int name, long value, int length)
      throws LastErrorException;

  public static native int getsockname(int fd, long address, long length) throws LastErrorException;

  public static native long recv(int fd, long buffer, long length, int flags)
      throws LastErrorException;

  public static native long send(int fd, long buffer, long length, int flags)
      throws LastErrorException;

  public static native int chdir(String path) throws LastErrorException;

  /** Writes struct rlimit to an address. */
  public static native int getrlimit(int resource, long limits) throws LastErrorException;

  public static native int kill(int pid, int signal) throws LastErrorException;

  /** Takes and gives glibc's struct sigaction; either address may be 0. */
  public static native int sigaction(int signal, long action, long oldAction)
      throws LastErrorException;

  /**
   * Calls whose failure is part of normal work: -1, and the error in {@link Native#getLastError()}.
   */
  public static final class Try {
    static {
      Native.register(Try.class, NativeLibrary.getInstance("c"));
    }

    private Try() {}

    public static native int ioctl(int fd, long request, long argument);

    public static native int epoll_wait(int epfd, long events, int maxEvents, int timeoutMillis);

    public static native int madvise(long address, long length, int advice);

    public static native long read(int fd, long buffer, long count);

    public static native long write(int fd, long buffer, long count);

    /** {@code address} and {@code length} may be 0. */
    public static native int accept4(int fd, long address, long length, int flags);

    public static native int shutdown(int fd, int how);

    public static native int close(int fd);

    public static native long readv(int fd, long iovec, int count);

    public static native long writev(int fd, long iovec, int count);

    public static native long preadv(int fd, long iovec, int count, long offset);

    public static native long preadv2(int fd, long iovec, int count, long offset, int flags);

    public static native long pwritev(int fd, long iovec, int count, long offset);
  }
}
