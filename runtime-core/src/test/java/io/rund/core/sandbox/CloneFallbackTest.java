package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.linux.EventLoop;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Cold boots, clones, and what becomes of one that does not come to life. */
@Timeout(60)
class CloneFallbackTest {
  @TempDir private Path directory;
  private final EventLoop loop = new EventLoop("clone-test");
  private final List<FakeSandbox> made = new CopyOnWriteArrayList<>();
  private final List<String> log = new CopyOnWriteArrayList<>();
  private SandboxBoot boot;
  private OciSpec spec;
  private volatile RundException accident;

  private final class FakeTemplate implements VmTemplate {
    @Override
    public VirtualMachine clone(String id) {
      log.add("clone");
      FakeSandbox clone = new FakeSandbox(loop);
      made.add(clone);
      clone.helloFailure = accident;
      return clone;
    }

    @Override
    public void save(FileChannel file) {
      log.add("save");
    }

    @Override
    public void close() {
      log.add("release");
    }
  }

  private VirtualMachine create(VmConfig config) {
    FakeSandbox vm = new FakeSandbox(loop);
    boolean template = config.id().equals("template");
    log.add(template ? "template" : "boot");
    vm.template = Optional.of(new FakeTemplate());
    made.add(vm);
    return vm;
  }

  @BeforeEach
  void wire() throws Exception {
    Files.writeString(directory.resolve("vmlinux"), "kernel");
    Files.writeString(
        directory.resolve("config.json"),
        """
        {"process": {"args": ["true"]}, "linux": {"namespaces": [
          {"type": "pid"}, {"type": "ipc"}, {"type": "network", "path": "/proc/self/ns/net"}]}}
        """);
    Path file = directory.resolve("rund.toml");
    Files.writeString(
        file,
        "anchor = \"%s\"\nkernel = \"vmlinux\"\ninitramfs = \"vmlinux\"\ntemplate_dir = \"\"\n"
            .formatted(NativeBinaries.ANCHOR));
    spec = OciSpec.read(directory);
    boot =
        new SandboxBoot(
            this::create,
            vm -> CompletableFuture.completedFuture((FakeSandbox) vm),
            new FakeNetwork(),
            loop,
            CpuGroups.open(directory),
            RundConfig.read(file, directory));
  }

  @AfterEach
  void close() {
    boot.close();
    loop.close();
    made.forEach(vm -> assertTrue(vm.closed));
  }

  /** The names of the phases of a sandbox that comes and goes. */
  private List<String> start() {
    Timeline timeline = new Timeline(System.nanoTime());
    CreateRequest request =
        new CreateRequest(
            "ns", "web", directory, List.of(), new CreateRequest.StdioPaths(false, "", "", ""));
    SandboxSize size = new SandboxSize(1, 64 << 20);
    boot.boot(request, spec, size, vm -> log.add("prepare"), timeline).close();
    return timeline.phases().stream().map(Timeline.Phase::name).toList();
  }

  private void awaitTemplate() throws InterruptedException {
    for (long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        made.stream().noneMatch(vm -> vm.captured && vm.closed); ) {
      assertTrue(System.nanoTime() < end, "no template within 30 s");
      Thread.sleep(5);
    }
    Thread.sleep(50);
  }

  @Test
  void theFirstBootsAndTheNextIsAClone() throws Exception {
    assertFalse(start().contains("clone VM"));
    awaitTemplate();
    assertTrue(start().contains("clone VM"));
    boot.close();
    assertEquals(List.of("boot", "prepare", "template", "clone", "prepare", "release"), log);
  }

  @Test
  void aCloneThatDoesNotComeToLifeIsASandboxThatBoots() throws Exception {
    var _ = start();
    awaitTemplate();
    log.clear();
    accident = RundException.unavailable("it does not come to life", null);
    assertTrue(start().contains("guest kernel"));
    assertEquals(List.of("clone", "release", "boot", "prepare"), log);
  }

  @Test
  void aHostThatHasNoRoomForACloneNowMayHaveItLater() throws Exception {
    var _ = start();
    awaitTemplate();
    log.clear();
    accident = new RundException(ErrorCode.RESOURCE_EXHAUSTED, "no thread for a vCPU");
    assertTrue(start().contains("guest kernel"));
    accident = null;
    assertTrue(start().contains("clone VM"));
    assertEquals(List.of("clone", "boot", "prepare", "clone", "prepare"), log);
  }

  @Test
  void aHostNameThatLinuxDoesNotTakeCostsNoTemplate() throws Exception {
    String good = Files.readString(directory.resolve("config.json"));
    var _ = start();
    awaitTemplate();
    log.clear();
    Files.writeString(
        directory.resolve("config.json"),
        good.replaceFirst("\\{", "{\"hostname\": \"%s\", ".formatted("h".repeat(65))));
    spec = OciSpec.read(directory);
    RundException refused = assertThrows(RundException.class, this::start);
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
    assertEquals(List.of(), log);
  }
}
