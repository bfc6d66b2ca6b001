package io.rund.kvm.memory;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the files behind guest RAM come from: a tmpfs of this process's own that is mounted nowhere
 * and uses huge pages, whatever the host has set for memfds (where "never" is the default). A
 * booting Linux then takes some 20 nested page faults instead of 6000, and runs with fewer TLB
 * misses. Without the right to make one (CAP_SYS_ADMIN), files are plain memfds.
 */
public final class RamFiles {
  private static final Logger log = LoggerFactory.getLogger(RamFiles.class);

  // fsopen(2), fsconfig(2), fsmount(2): include/uapi/linux/mount.h
  private static final int FSOPEN_CLOEXEC = 1;
  private static final int FSCONFIG_SET_STRING = 1;
  private static final int FSCONFIG_CMD_CREATE = 6;
  private static final int FSMOUNT_CLOEXEC = 1;

  /** The detached mount, for the life of the process; null if there is none. */
  private static final Fd MOUNT = mount();

  private RamFiles() {}

  /**
   * Makes sure that the mount is there: with the first VM, be it a clone, which has no file. Else
   * an engine has a descriptor more from its first boot on, whenever that is.
   */
  public static void prepare() {
    // To initialise this class is all.
  }

  /**
   * A new empty file that is gone when it is neither open nor mapped.
   *
   * @param name seen in /proc, if it is a memfd
   */
  static Fd create(String name) throws LastErrorException {
    if (MOUNT == null) {
      return new Fd(Libc.memfd_create(name, Linux.MFD_CLOEXEC));
    }
    try (Arena arena = Arena.ofConfined()) {
      int flags = Linux.O_TMPFILE | Linux.O_RDWR | Linux.O_CLOEXEC;
      long path = arena.allocateFrom(".").address();
      return new Fd((int) Libc.syscall(Linux.SYS_OPENAT, MOUNT.number(), path, flags, 0600, 0));
    }
  }

  private static Fd mount() {
    try (Arena arena = Arena.ofConfined()) {
      long tmpfs = arena.allocateFrom("tmpfs").address();
      try (Fd context =
          new Fd((int) Libc.syscall(Linux.SYS_FSOPEN, tmpfs, FSOPEN_CLOEXEC, 0, 0, 0))) {
        configure(context, arena, "huge", "always");
        configure(context, arena, "size", "0"); // no limit: RAM is what VMs were given
        configure(context, arena, "mode", "0700");
        Libc.syscall(Linux.SYS_FSCONFIG, context.number(), FSCONFIG_CMD_CREATE, 0, 0, 0);
        long mount = Libc.syscall(Linux.SYS_FSMOUNT, context.number(), FSMOUNT_CLOEXEC, 0, 0, 0);
        return new Fd((int) mount);
      }
    } catch (LastErrorException e) {
      log.info("guest memory without huge pages, VMs start slower: {}", e.getMessage());
      return null;
    }
  }

  private static void configure(Fd context, Arena arena, String key, String value) {
    Libc.syscall(
        Linux.SYS_FSCONFIG,
        context.number(),
        FSCONFIG_SET_STRING,
        arena.allocateFrom(key).address(),
        arena.allocateFrom(value).address(),
        0);
  }
}
