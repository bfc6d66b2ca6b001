package io.rund.shim.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/** Checks of the files that a sandbox is made of, and of the host's cgroups. */
final class FileChecks {
  private static final String REINSTALL =
      "install rund completely (make build && make dist), or set %s in the configuration";

  /**
   * ELF header: class at 4 (2 is 64 bits), e_type at 16 (2 is EXEC), e_machine at 18 (62 is
   * x86-64).
   */
  private static final int ELF_MAGIC = 0x464c457f;

  private FileChecks() {}

  static Check kernel(Path file) {
    String name = "guest kernel";
    try {
      ByteBuffer head = head(file);
      if (head.getInt(0) == ELF_MAGIC
          && head.get(4) == 2
          && head.getShort(16) == 2
          && head.getShort(18) == 62) {
        return Check.ok(name, file + ", " + (Files.size(file) >> 20) + " MiB");
      }
      return Check.failed(
          name,
          file + " is not an x86-64 ELF executable",
          "give an uncompressed vmlinux, not a bzImage; " + REINSTALL.formatted("kernel"));
    } catch (IOException e) {
      return unreadable(name, e, "kernel");
    }
  }

  static Check initramfs(Path file) {
    String name = "guest image";
    try {
      String magic = new String(head(file).array(), 0, 6, StandardCharsets.ISO_8859_1);
      return magic.startsWith("07070")
          ? Check.ok(name, file + ", " + (Files.size(file) >> 10) + " KiB")
          : Check.failed(name, file + " is not a cpio archive", REINSTALL.formatted("initramfs"));
    } catch (IOException e) {
      return unreadable(name, e, "initramfs");
    }
  }

  static Check anchor(Path file) {
    String name = "anchor";
    return Files.isExecutable(file)
        ? Check.ok(name, file.toString())
        : Check.failed(name, file + " is missing or not executable", REINSTALL.formatted("anchor"));
  }

  private static Check unreadable(String name, IOException e, String key) {
    String detail =
        e instanceof NoSuchFileException ? e.getMessage() + " does not exist" : "cannot read " + e;
    return Check.failed(name, detail, REINSTALL.formatted(key));
  }

  private static ByteBuffer head(Path file) throws IOException {
    byte[] head = new byte[64];
    try (InputStream in = Files.newInputStream(file)) {
      in.readNBytes(head, 0, head.length);
    }
    return ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** What sandboxes use of the host's cgroups, in whichever version it has. */
  static Check cgroups(Path root) {
    String name = "cgroups";
    if (Files.isDirectory(root.resolve("memory")) && Files.isDirectory(root.resolve("cpu"))) {
      return Check.ok(name, "version 1 at " + root + ": memory, cpu");
    }
    String remedy =
        "boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 none /sys/fs/cgroup";
    try {
      String controllers = Files.readString(root.resolve("cgroup.controllers")).strip();
      List<String> missing =
          List.of("cpu", "memory", "pids").stream()
              .filter(wanted -> !List.of(controllers.split(" ", -1)).contains(wanted))
              .toList();
      return missing.isEmpty()
          ? Check.ok(name, "version 2 at " + root + ": " + controllers)
          : Check.failed(name, root + " lacks the controllers " + missing, remedy);
    } catch (IOException e) {
      return Check.failed(
          name, root + " has neither cgroup version 2 nor memory and cpu of version 1", remedy);
    }
  }
}
