package io.rund.kvm.vcpu;

import com.sun.jna.LastErrorException;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import io.rund.core.error.RundException;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The signal that takes a thread out of KVM_RUN. Its handler has to exist, so that the signal is
 * not fatal, and has to do nothing; it runs in the middle of whatever the thread did, so it cannot
 * be Java. It is {@code abs} of the C library: a function of one int that touches no memory.
 */
final class KickSignal {
  /**
   * USR1, VTALRM, PROF, IO, STKFLT. HotSpot uses none of them by itself. A real-time signal would
   * be refused (EAGAIN) when the user's queue of signals is full; these only merge.
   */
  private static final int[] CANDIDATES = {10, 26, 27, 29, 16};

  // struct sigaction of glibc on x86-64 (sysdeps/unix/sysv/linux/bits/sigaction.h): the handler, a
  // sigset_t of 128 bytes, int sa_flags, the restorer, which glibc fills in itself.
  private static final int SIGACTION_SIZE = 152;
  private static final int SA_HANDLER = 0;
  private static final int SA_FLAGS = 136;

  /** Other system calls of the thread are restarted; KVM_RUN always returns EINTR. */
  private static final int SA_RESTART = 0x1000_0000;

  private static final long SIG_DFL = 0;

  private static final int ESRCH = 3;

  private static final int NUMBER = install();
  private static final int PID = (int) ProcessHandle.current().pid();

  private KickSignal() {}

  /** Claims the first signal that nobody handles. */
  private static int install() {
    Pointer handler = NativeLibrary.getInstance("c").getFunction("abs");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment action = arena.allocate(SIGACTION_SIZE, 8);
      for (int signal : CANDIDATES) {
        Libc.sigaction(signal, 0, action.address());
        if (action.get(ValueLayout.JAVA_LONG, SA_HANDLER) == SIG_DFL) {
          action.fill((byte) 0);
          action.set(ValueLayout.JAVA_LONG, SA_HANDLER, Pointer.nativeValue(handler));
          action.set(ValueLayout.JAVA_INT, SA_FLAGS, SA_RESTART);
          Libc.sigaction(signal, action.address(), 0);
          return signal;
        }
      }
    } catch (LastErrorException e) {
      throw RundException.internal("cannot install the vCPU signal's handler", e);
    }
    throw RundException.internal("every signal that vCPUs could have is in use", null);
  }

  /** Makes sure that the handler is there before the first thread can be kicked. */
  static int number() {
    return NUMBER;
  }

  /** The kernel's id of the calling thread. */
  static int currentThread() {
    return (int) Libc.syscall(Linux.SYS_GETTID, 0, 0, 0, 0, 0);
  }

  /** Interrupts a system call of one of this process's threads. */
  static void send(int tid) {
    try {
      Libc.syscall(Linux.SYS_TGKILL, PID, tid, NUMBER, 0, 0);
    } catch (LastErrorException e) {
      if (e.getErrorCode() != ESRCH) {
        throw RundException.internal("cannot signal vCPU thread " + tid, e);
      }
    }
  }
}
