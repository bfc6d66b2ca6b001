package io.rund.kvm.fs;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Who a thread is towards the host's kernel. All of it is per thread in Linux, as long as no libc
 * tells the other threads; what is already as wanted costs nothing. So the host's kernel itself
 * applies owner, umask, default ACL and setgid folders, and takes setuid and setgid bits away.
 */
final class Identity {
  private static final long CLONE_FS = 0x200;
  private static final long PR_GET_SECUREBITS = 27;
  private static final long PR_SET_SECUREBITS = 28;

  /** Changing the file system ids keeps the capabilities (include/uapi/linux/securebits.h). */
  private static final long SECBIT_NO_SETUID_FIXUP = 1 << 2;

  /** _LINUX_CAPABILITY_VERSION_3 (include/uapi/linux/capability.h). */
  private static final int CAPABILITY_VERSION = 0x20080522;

  /** Writing to a file keeps its setuid and setgid bits. */
  private static final int CAP_FSETID = 1 << 4;

  /** struct __user_cap_header_struct, then two of struct __user_cap_data_struct. */
  private final MemorySegment capabilities = Arena.ofAuto().allocate(8 + 24, Long.BYTES);

  private int uid;
  private int gid;
  private int umask;
  private boolean keepsSetIds = true;

  private Identity() {
    capabilities.set(ValueLayout.JAVA_INT, 0, CAPABILITY_VERSION);
  }

  static Identity ofThread() {
    Identity identity = new Identity();
    try {
      Libc.syscall(Linux.SYS_UNSHARE, CLONE_FS, 0, 0, 0, 0);
      Libc.syscall(Linux.SYS_UMASK, 0, 0, 0, 0, 0);
      long bits = Libc.syscall(Linux.SYS_PRCTL, PR_GET_SECUREBITS, 0, 0, 0, 0);
      Libc.syscall(Linux.SYS_PRCTL, PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
      identity.capabilities(Linux.SYS_CAPGET);
      // The thread that started this one may have been without it at that moment.
      identity.keepsSetIds = false;
      identity.keepSetIds(true);
    } catch (LastErrorException e) {
      throw new RundException(
          ErrorCode.FAILED_PRECONDITION,
          "cannot act for the users of a guest's files: run the engine as root with all capabilities: "
              + e.getMessage(),
          e);
    }
    return identity;
  }

  /** User and group of what is made from now on. */
  void become(int newUid, int newGid) {
    if (gid != newGid) {
      Libc.syscall(Linux.SYS_SETFSGID, Integer.toUnsignedLong(newGid), 0, 0, 0, 0);
      gid = newGid;
    }
    if (uid != newUid) {
      Libc.syscall(Linux.SYS_SETFSUID, Integer.toUnsignedLong(newUid), 0, 0, 0, 0);
      uid = newUid;
    }
  }

  void umask(int newUmask) {
    if (umask != newUmask) {
      Libc.syscall(Linux.SYS_UMASK, newUmask, 0, 0, 0, 0);
      umask = newUmask;
    }
  }

  /** Whether files that are written to keep their setuid and setgid bits from now on. */
  void keepSetIds(boolean keep) {
    if (keepsSetIds != keep) {
      int effective = capabilities.get(ValueLayout.JAVA_INT, 8);
      capabilities.set(
          ValueLayout.JAVA_INT, 8, keep ? effective | CAP_FSETID : effective & ~CAP_FSETID);
      capabilities(Linux.SYS_CAPSET);
      keepsSetIds = keep;
    }
  }

  private void capabilities(long call) {
    Libc.syscall(call, capabilities.address(), capabilities.address() + 8, 0, 0, 0);
  }
}
