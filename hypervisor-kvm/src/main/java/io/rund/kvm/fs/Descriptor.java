package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A descriptor of the host with a count of those who use it: its table, which lets go of it once,
 * and every call that is under way. The last one closes it, so that no call ever finds another file
 * behind the number. Thread-safe.
 */
abstract class Descriptor {
  private static final VarHandle USERS;

  static {
    try {
      USERS = MethodHandles.lookup().findVarHandle(Descriptor.class, "users", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** The number, for those who have acquired this; -1 if there is nothing of the host behind it. */
  final int fd;

  @SuppressWarnings("UnusedVariable") // through USERS
  private volatile int users = 1;

  Descriptor(int fd) {
    this.fd = fd;
  }

  /** Makes the caller a user, who must release; false if it is closed. */
  final boolean acquire() {
    int now = users;
    while (now > 0) {
      if (USERS.compareAndSet(this, now, now + 1)) {
        return true;
      }
      now = users;
    }
    return false;
  }

  final void release() {
    if ((int) USERS.getAndAdd(this, -1) == 1) {
      if (fd >= 0) {
        // What close has to say of a file's contents, flush has said before.
        int ignored = FileCalls.close(fd);
      }
      closed();
    }
  }

  /** Called once, after the last use. */
  abstract void closed();
}
