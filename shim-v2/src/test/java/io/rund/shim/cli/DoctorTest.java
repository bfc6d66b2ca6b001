package io.rund.shim.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoctorTest {
  @TempDir Path folder;

  private Path file(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  private static void wrong(Check check, String detail) {
    assertFalse(check.ok(), check.toString());
    assertTrue(check.detail().contains(detail), check.toString());
    assertFalse(check.remedy().isEmpty());
  }

  private static void right(Check check) {
    assertTrue(check.ok(), check.toString());
    assertEquals("", check.remedy());
  }

  @Test
  void aGuestRuns() {
    right(KvmCheck.run());
  }

  @Test
  void kernels() throws Exception {
    ByteBuffer elf = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    elf.putInt(0, 0x464c457f).put(4, (byte) 2).putShort(16, (short) 2).putShort(18, (short) 62);
    right(FileChecks.kernel(Files.write(folder.resolve("vmlinux"), elf.array())));
    elf.putShort(18, (short) 183);
    wrong(FileChecks.kernel(Files.write(folder.resolve("arm"), elf.array())), "not an x86-64 ELF");
    wrong(FileChecks.kernel(file("bzImage", "MZ")), "not an x86-64 ELF");
    wrong(FileChecks.kernel(folder.resolve("none")), "none");
  }

  @Test
  void images() throws Exception {
    right(FileChecks.initramfs(file("cpio", "070701 and so on")));
    wrong(FileChecks.initramfs(file("text", "hello")), "not a cpio");
    wrong(FileChecks.initramfs(folder.resolve("none")), "none");
  }

  @Test
  void cgroups() throws Exception {
    wrong(FileChecks.cgroups(folder), "neither cgroup version 2 nor memory and cpu of version 1");
    file("cgroup.controllers", "cpuset cpu io memory pids\n");
    right(FileChecks.cgroups(folder));
    file("cgroup.controllers", "cpuset cpu io\n");
    wrong(FileChecks.cgroups(folder), "[memory, pids]");
  }

  @Test
  void cgroupsOfVersionOne() throws Exception {
    Files.createDirectory(folder.resolve("memory"));
    wrong(FileChecks.cgroups(folder), "neither cgroup version 2 nor memory and cpu of version 1");
    Files.createDirectory(folder.resolve("cpu"));
    right(FileChecks.cgroups(folder));
  }

  @Test
  void modulesOfTheNetwork() throws Exception {
    Path loaded = folder.resolve("module");
    wrong(ModuleChecks.network(folder, loaded), "no tun, sch_ingress, act_mirred, cls_matchall or");
    file("modules.builtin", "kernel/drivers/net/tun.ko\nkernel/net/sched/sch_ingress.ko\n");
    file("modules.dep", "kernel/net/sched/act_mirred.ko.xz: kernel/net/sched/other.ko.xz\n");
    wrong(ModuleChecks.network(folder, loaded), "no cls_matchall or cls_u32");
    file("module/cls_u32/refcnt", "0");
    right(ModuleChecks.network(folder, loaded));
  }

  @Test
  void shims() throws Exception {
    wrong(ContainerdChecks.shim("/nowhere:" + folder), "not on containerd's PATH");
    Path shim = file("containerd-shim-rund-v2", "");
    Files.setPosixFilePermissions(shim, PosixFilePermissions.fromString("rwxr-xr-x"));
    right(ContainerdChecks.shim("/nowhere:" + folder));
  }

  @Test
  void snapshotters() throws Exception {
    Path devices = folder.resolve("mapper");
    right(ContainerdChecks.snapshotter(folder.resolve("none"), devices));
    Path config = file("config.toml", "version = 2\n");
    right(ContainerdChecks.snapshotter(config, devices));
    String table = "[plugins.\"io.containerd.snapshotter.v1.devmapper\"]\npool_name = \"pool\"\n";
    file("config.toml", table);
    wrong(ContainerdChecks.snapshotter(config, devices), "thin pool pool does not exist");
    file(
        "config.toml", "disabled_plugins = [\"io.containerd.snapshotter.v1.devmapper\"]\n" + table);
    right(ContainerdChecks.snapshotter(config, devices));
    file("config.toml", table);
    file("mapper/pool", "");
    right(ContainerdChecks.snapshotter(config, devices));
    file("config.toml", "[plugins\n");
    wrong(ContainerdChecks.snapshotter(config, devices), "cannot read");
  }
}
