package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.Pool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With the layout of cgroup v1 in plain files; v2 is for end-to-end tests. */
class CpuGroupsTest {
  @TempDir Path root;

  private List<String> groups() throws IOException {
    try (Stream<Path> all = Files.list(root.resolve("cpu/rund"))) {
      return all.map(path -> path.getFileName().toString().replaceAll(".*-", "")).sorted().toList();
    }
  }

  private String read(String number, String file) throws IOException {
    return Files.readString(
        root.resolve("cpu/rund/%d-%s".formatted(ProcessHandle.current().pid(), number))
            .resolve(file));
  }

  @Test
  void aHostWithoutThemGivesNone() {
    try (CpuGroups groups = CpuGroups.open(root.resolve("none"));
        CpuGroup group = groups.take()) {
      assertEquals(CpuGroup.NONE, group);
      assertEquals(new Pool("cgroup", 0, 0), groups.pool());
    }
  }

  @Test
  void limitsAndThreadsGoIntoTheSandboxsOwn() throws Exception {
    Files.createDirectories(root.resolve("cpu"));
    CpuGroups groups = CpuGroups.open(root);
    assertEquals(List.of("0", "1", "2", "3", "4", "5", "6", "7"), groups());
    try (CpuGroup first = groups.take();
        CpuGroup second = groups.take()) {
      first.enter(List.of(17));
      first.limit(new CpuShare(OptionalLong.of(50_000), 512));
      second.limit(new CpuShare(OptionalLong.empty(), 512));
      assertEquals("17", read("0", "tasks"));
      assertEquals("10000", read("0", "cpu.cfs_quota_us"));
      assertEquals("20000", read("0", "cpu.cfs_period_us"));
      assertEquals("512", read("0", "cpu.shares"));
      assertEquals("-1", read("1", "cpu.cfs_quota_us"));
      assertEquals(new Pool("cgroup", 6, 8), groups.pool());
    }
    assertEquals(new Pool("cgroup", 8, 8), groups.pool());
    assertEquals("-1", read("0", "cpu.cfs_quota_us"));
    assertEquals("1024", read("0", "cpu.shares"));
  }

  /** A file in a folder stands for a thread that is about to leave its cgroup. */
  @Test
  void oneThatIsNotYetEmptyGoesWhenItIs() throws Exception {
    Files.createDirectories(root.resolve("cpu"));
    CpuGroups groups = CpuGroups.open(root);
    List<CpuGroup> taken = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      taken.add(groups.take());
    }
    Path last = root.resolve("cpu/rund/%d-8".formatted(ProcessHandle.current().pid()));
    Path thread = Files.createFile(last.resolve("thread"));
    long began = System.nanoTime();
    taken.getLast().close();
    assertTrue(System.nanoTime() - began < 5_000_000_000L, "nobody waits for it");
    Thread.sleep(300);
    assertTrue(Files.exists(last));
    Files.delete(thread);
    await(() -> !Files.exists(last));
    taken.subList(0, 8).forEach(CpuGroup::close);
    groups.close();
    assertEquals(List.of(), groups());
  }

  @Test
  void theKernelTakesThemAndNothingIsLeft() throws Exception {
    Path cgroups = Path.of("/sys/fs/cgroup");
    CpuGroups groups = CpuGroups.open(cgroups);
    List<CpuGroup> taken = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      taken.add(groups.take());
      taken.getLast().limit(new CpuShare(OptionalLong.of(20_000), 256));
    }
    Path ours = cgroups.resolve("cpu/rund");
    String prefix = ProcessHandle.current().pid() + "-";
    if (Files.exists(ours.resolve(prefix + "11"))) {
      assertEquals("4000", Files.readString(ours.resolve(prefix + "11/cpu.cfs_quota_us")).strip());
    }
    taken.forEach(CpuGroup::close);
    await(() -> count(ours, prefix) <= 8);
    groups.close();
    assertEquals(0, count(ours, prefix));
  }

  private static void await(Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() - end < 0, "not within 30 s");
      Thread.sleep(10);
    }
  }

  private static long count(Path folder, String prefix) throws IOException {
    if (!Files.exists(folder)) {
      return 0;
    }
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(path -> path.getFileName().toString().startsWith(prefix)).count();
    }
  }
}
