package io.rund.core.linux;

import com.sun.jna.Function;
import com.sun.jna.LastErrorException;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.StringArray;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * A child process without a thread of its own: posix_spawn(3) starts it (no fork of the JVM's
 * address space), a pidfd on an {@link EventLoop} tells its end and reaps it. {@link
 * ProcessBuilder} costs a reaper thread for each child, which thousands of sandboxes cannot afford.
 */
public final class ChildProcess {
  private static final int P_PIDFD = 3;
  private static final int WEXITED = 4;
  private static final long SYS_PIDFD_SEND_SIGNAL = 424;

  /** Bounds of glibc's posix_spawn_file_actions_t (80 bytes) and siginfo_t (128 bytes). */
  private static final int STRUCT_SIZE = 128;

  /** Above every number that a program is given a descriptor at. */
  private static final int FIRST_FREE_FD = 16;

  private static final int STDERR = 2;

  private static final Optional<Function> CLOSE_FROM = closeFrom();

  private static Optional<Function> closeFrom() {
    try {
      return Optional.of(
          NativeLibrary.getInstance("c").getFunction("posix_spawn_file_actions_addclosefrom_np"));
    } catch (UnsatisfiedLinkError e) {
      return Optional.empty();
    }
  }

  static {
    Native.register(ChildProcess.class, NativeLibrary.getInstance("c"));
  }

  private static native int posix_spawn(
      int[] pid,
      String path,
      Pointer fileActions,
      Pointer attributes,
      Pointer arguments,
      Pointer environment);

  private static native int posix_spawn_file_actions_init(Pointer actions);

  private static native int posix_spawn_file_actions_adddup2(Pointer actions, int fd, int newFd);

  private static native int posix_spawn_file_actions_destroy(Pointer actions);

  private static native int waitid(int idType, int id, Pointer info, int options)
      throws LastErrorException;

  private final int pid;
  private final Fd pidfd;
  private final CompletableFuture<Void> exited = new CompletableFuture<>();

  private ChildProcess(int pid, Fd pidfd) {
    this.pid = pid;
    this.pidfd = pidfd;
  }

  /**
   * Starts a program with an empty environment and the engine's stderr.
   *
   * @param command path of the program, then its arguments
   * @throws LastErrorException when the program cannot be executed
   */
  public static ChildProcess spawn(EventLoop loop, List<String> command, Fd stdin, Fd stdout) {
    return spawn(loop, command, List.of(), Map.of(0, stdin, 1, stdout));
  }

  /**
   * The same with an environment and more descriptors. Others are closed (the JVM opens its own to
   * be inherited), where the C library can do that: glibc 2.34 and later.
   *
   * @param variables NAME=VALUE
   * @param descriptors what the program finds at each number
   */
  public static ChildProcess spawn(
      EventLoop loop, List<String> command, List<String> variables, Map<Integer, Fd> descriptors) {
    String[] arguments = command.toArray(String[]::new);
    int[] pid = new int[1];
    List<Fd> sources = new ArrayList<>();
    try (Memory actions = new Memory(STRUCT_SIZE);
        StringArray argv = new StringArray(arguments);
        StringArray environment = new StringArray(variables.toArray(String[]::new))) {
      check(posix_spawn_file_actions_init(actions));
      try {
        for (Map.Entry<Integer, Fd> descriptor : descriptors.entrySet()) {
          // Out of the way of the numbers that are to be filled.
          Fd source =
              new Fd(
                  Libc.fcntl(descriptor.getValue().number(), Linux.F_DUPFD_CLOEXEC, FIRST_FREE_FD));
          sources.add(source);
          check(posix_spawn_file_actions_adddup2(actions, source.number(), descriptor.getKey()));
        }
        int above = Math.max(STDERR, Collections.max(descriptors.keySet())) + 1;
        if (CLOSE_FROM.isPresent()) {
          check(CLOSE_FROM.get().invokeInt(new Object[] {actions, above}));
        }
        check(posix_spawn(pid, arguments[0], actions, Pointer.NULL, argv, environment));
      } finally {
        posix_spawn_file_actions_destroy(actions);
        sources.forEach(Fd::close);
      }
    }
    // Nobody else waits for this pid, so it cannot have been reused yet.
    Fd pidfd = new Fd((int) Libc.syscall(Linux.SYS_PIDFD_OPEN, pid[0], 0, 0, 0, 0));
    ChildProcess child = new ChildProcess(pid[0], pidfd);
    loop.execute(() -> child.watch(loop));
    return child;
  }

  private static void check(int error) {
    if (error != 0) {
      throw new LastErrorException(error);
    }
  }

  private void watch(EventLoop loop) {
    EventLoop.Registration[] registration = new EventLoop.Registration[1];
    registration[0] =
        loop.register(
            pidfd.number(),
            Linux.EPOLLIN,
            events -> {
              registration[0].close();
              reap();
            });
  }

  private synchronized void reap() {
    try (Memory info = new Memory(STRUCT_SIZE)) {
      waitid(P_PIDFD, pidfd.number(), info, WEXITED);
    } finally {
      pidfd.close();
      exited.complete(null);
    }
  }

  public int pid() {
    return pid;
  }

  /** Completes on the loop's thread when the process has ended and is reaped. */
  public CompletableFuture<Void> exited() {
    return exited;
  }

  /** SIGKILL; nothing if it has ended. Does not wait. */
  public void kill() {
    signal(Linux.SIGKILL);
  }

  /** Nothing if it has ended. Does not wait. */
  public synchronized void signal(int signal) {
    if (pidfd.isOpen()) {
      Libc.syscall(SYS_PIDFD_SEND_SIGNAL, pidfd.number(), signal, 0, 0, 0);
    }
  }
}
