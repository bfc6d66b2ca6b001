package io.rund.core.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.LastErrorException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Mounts in no namespace, of what this kernel has. */
class StatFsTest {
  private static final int FSCONFIG_CMD_CREATE = 6;

  private static final List<String> VIEWS =
      List.of(
          "proc",
          "sysfs",
          "debugfs",
          "tracefs",
          "securityfs",
          "bpf",
          "configfs",
          "cgroup2",
          "devpts",
          "mqueue",
          "selinuxfs",
          "smackfs",
          "efivarfs",
          "pstore",
          "binfmt_misc",
          "fusectl",
          "resctrl",
          "binder",
          "nfsd",
          "rpc_pipefs");

  /** The mount, if there is this file system and it can be mounted. */
  private static Optional<Fd> mount(String type) {
    try (Arena arena = Arena.ofConfined();
        Fd context =
            new Fd(
                (int)
                    Libc.syscall(
                        Linux.SYS_FSOPEN, arena.allocateFrom(type).address(), 0, 0, 0, 0))) {
      Libc.syscall(Linux.SYS_FSCONFIG, context.number(), FSCONFIG_CMD_CREATE, 0, 0, 0);
      long mount = Libc.syscall(Linux.SYS_FSMOUNT, context.number(), 0, 0, 0, 0);
      return Optional.of(new Fd((int) mount));
    } catch (LastErrorException e) {
      return Optional.empty();
    }
  }

  @Test
  void whatShowsTheHostsKernelIsKnownAsThat() throws IOException {
    String known = Files.readString(Path.of("/proc/filesystems"));
    int seen = 0;
    for (String type : VIEWS) {
      Optional<Fd> mounted = known.contains("\t" + type + "\n") ? mount(type) : Optional.empty();
      if (mounted.isPresent()) {
        try (Fd fd = mounted.get()) {
          assertTrue(StatFs.of(fd.number()).kernelView().isPresent(), type);
          seen++;
        }
      }
    }
    assertTrue(seen >= 3, seen + " of them could be mounted");
  }

  @Test
  void whatKeepsFilesIsNoView() {
    for (String type : List.of("tmpfs", "ramfs")) {
      try (Fd fd = mount(type).orElseThrow()) {
        assertEquals(Optional.empty(), StatFs.of(fd.number()).kernelView(), type);
      }
    }
  }
}
