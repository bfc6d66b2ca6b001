package io.rund.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.MacAddress;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class KvmHypervisorTest {
  private static final long MIB = 1 << 20;
  private static final int SLOTS = 3;

  /** mov al, 0xfe; out 0x64, al */
  private static final int[] RESET = {0xb0, 0xfe, 0xe6, 0x64};

  private static final int[] SPIN = {0xeb, 0xfe};

  private final KvmHypervisor hypervisor = new KvmHypervisor();

  @TempDir private Path folder;
  private Path initramfs;

  @BeforeEach
  void writeInitramfs() throws IOException {
    initramfs = Files.write(folder.resolve("initramfs"), new byte[10000]);
  }

  @AfterEach
  void close() {
    hypervisor.close();
  }

  @Test
  void theKernelIsEnteredInLongModeWithItsBootParametersInRsi() throws Exception {
    int[] code = {
      0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
      0x8a, 0x86, 0x02, 0x02, 0x00, 0x00, 0xee, // mov al, [rsi+0x202]; out dx, al: "H" of "HdrS"
      0x8b, 0x9e, 0x28, 0x02, 0x00, 0x00, // mov ebx, [rsi+0x228]: the command line
      0x8a, 0x03, 0xee, // mov al, [rbx]; out dx, al: "r" of "rdinit"
      0xb0, 0xfe, 0xe6, 0x64
    };
    Path console = folder.resolve("console");
    try (VirtualMachine vm = hypervisor.create(config(code, 2, Optional.of(console)))) {
      vm.start();
      assertInstanceOf(VmExit.GuestShutdown.class, vm.exited().get(20, TimeUnit.SECONDS));
    }
    assertEquals("Hr", Files.readString(console));
  }

  @Test
  void disksGoIntoFreeSlotsUntilThereAreNoMore() throws Exception {
    Path disk = Files.write(folder.resolve("disk"), new byte[(int) MIB]);
    DiskConfig config = new DiskConfig(disk, true);
    VirtualMachine vm = hypervisor.create(config(SPIN, 1, Optional.empty()));
    try {
      for (int slot = 0; slot < SLOTS; slot++) {
        assertEquals(KvmVirtualMachine.FIXED_SLOTS + slot, vm.plug(config));
      }
      assertEquals(ErrorCode.RESOURCE_EXHAUSTED, code(() -> vm.plug(config)));
      vm.start();
      vm.unplug(4);
      assertEquals(ErrorCode.NOT_FOUND, code(() -> vm.unplug(4)));
      assertEquals(4, vm.plug(config));
      assertEquals(ErrorCode.NOT_FOUND, code(() -> vm.unplug(0)));
      assertEquals(
          ErrorCode.NOT_FOUND, code(() -> vm.unplug(KvmVirtualMachine.FIXED_SLOTS + SLOTS)));
    } finally {
      vm.close();
    }
    assertEquals(ErrorCode.FAILED_PRECONDITION, code(() -> vm.plug(config)));
    vm.close();
  }

  @Test
  void whatItHasOfTheHostIsCounted() throws Exception {
    VirtualMachine vm = hypervisor.create(config(SPIN, 2, Optional.empty()));
    try {
      assertEquals(List.of(), vm.vcpuThreads());
      vm.start();
      assertEquals(2, Set.copyOf(vm.vcpuThreads()).size());
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      while (vm.usage().cpuNanos() == 0 && System.nanoTime() < end) {
        Thread.sleep(5);
      }
      VirtualMachine.Usage usage = vm.usage();
      assertTrue(usage.cpuNanos() > 0, usage::toString);
      assertTrue(usage.memoryBytes() > 0 && usage.memoryBytes() % 4096 == 0, usage::toString);
    } finally {
      vm.close();
    }
    assertEquals(List.of(), vm.vcpuThreads());
    assertEquals(new VirtualMachine.Usage(0, 0), vm.usage());
  }

  @Test
  void aCardOwnsItsTapWhateverHappens() throws Exception {
    VirtualMachine vm = hypervisor.create(config(SPIN, 1, Optional.empty()));
    Fd unplugged = Fd.eventFd();
    Fd closed = Fd.eventFd();
    Fd refused = Fd.eventFd();
    try {
      assertEquals(KvmVirtualMachine.FIXED_SLOTS, vm.plug(card(unplugged)));
      vm.unplug(KvmVirtualMachine.FIXED_SLOTS);
      assertFalse(unplugged.isOpen());
      for (int slot = 0; slot < SLOTS; slot++) {
        vm.plug(card(closed));
      }
      assertEquals(ErrorCode.RESOURCE_EXHAUSTED, code(() -> vm.plug(card(refused))));
      assertFalse(refused.isOpen());
    } finally {
      vm.close();
    }
    assertFalse(closed.isOpen());
    Fd late = Fd.eventFd();
    assertEquals(ErrorCode.FAILED_PRECONDITION, code(() -> vm.plug(card(late))));
    assertFalse(late.isOpen());
  }

  private static NicConfig card(Fd tap) {
    return new NicConfig("eth0", tap, new MacAddress(0x0a58_0a00_0001L), 1500);
  }

  @Test
  void sharesComeAndGoAtAnyTimeBeforeTheEnd() throws Exception {
    VirtualMachine vm = hypervisor.create(config(SPIN, 1, Optional.empty()));
    try {
      vm.share(share("a"));
      assertEquals(ErrorCode.ALREADY_EXISTS, code(() -> vm.share(share("a"))));
      assertEquals(ErrorCode.INVALID_ARGUMENT, code(() -> vm.share(share("../a"))));
      vm.start();
      vm.unshare("a");
      vm.unshare("a");
      vm.share(share("a"));
    } finally {
      vm.close();
    }
    Share late = share("b");
    assertEquals(ErrorCode.FAILED_PRECONDITION, code(() -> vm.share(late)));
    assertFalse(late.root().isOpen());
    vm.unshare("a");
  }

  private Share share(String name) {
    return new Share(name, Fd.open(folder.toString(), Linux.O_PATH), false, CachePolicy.AUTO);
  }

  @Test
  void whatCannotBeBootedIsRefused() throws Exception {
    VmConfig good = config(SPIN, 1, Optional.empty());
    assertEquals(ErrorCode.INVALID_ARGUMENT, code(() -> hypervisor.create(withVcpus(good, 0))));
    assertEquals(ErrorCode.INVALID_ARGUMENT, code(() -> hypervisor.create(withVcpus(good, 255))));
    VmConfig small = withMemory(good, MIB);
    assertTrue(
        assertThrows(RundException.class, () -> hypervisor.create(small))
            .getMessage()
            .contains("too small"));
    Files.delete(good.kernel());
    assertTrue(
        assertThrows(RundException.class, () -> hypervisor.create(good))
            .getMessage()
            .contains(good.kernel().toString()));
  }

  @Test
  void vmsLeaveNothingBehind() throws Exception {
    cycle();
    String before = resources();
    for (int i = 0; i < 10; i++) {
      cycle();
    }
    // A thread that has ended is still listed for a moment.
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (!resources().equals(before) && System.nanoTime() < deadline) {
      Thread.sleep(50);
    }
    assertEquals(before, resources());
  }

  /** A VM that ends itself, one that is ended, one that never ran, and one that cannot be made. */
  private void cycle() throws Exception {
    Path disk = Files.write(folder.resolve("disk"), new byte[(int) MIB]);
    try (VirtualMachine vm = hypervisor.create(config(RESET, 2, Optional.empty()))) {
      vm.plug(new DiskConfig(disk, false));
      vm.share(share("a"));
      vm.start();
      VmExit _ = vm.exited().get(20, TimeUnit.SECONDS);
    }
    try (VirtualMachine vm =
        hypervisor.create(config(SPIN, 2, Optional.of(folder.resolve("console"))))) {
      vm.start();
    }
    try (VirtualMachine vm = hypervisor.create(config(SPIN, 1, Optional.empty()))) {
      vm.plug(new DiskConfig(disk, true));
      vm.share(share("a"));
    }
    VmConfig bad = withMemory(config(SPIN, 2, Optional.empty()), MIB);
    assertThrows(RundException.class, () -> hypervisor.create(bad));
  }

  /** Descriptors, threads of VMs and mappings of KVM and guest RAM that this process has. */
  private static String resources() throws IOException {
    long descriptors;
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      descriptors = files.count();
    }
    long threads =
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> thread.getName().startsWith("vcpu"))
            .count();
    long mappings;
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
      mappings =
          lines
              .filter(line -> line.contains("kvm") || line.contains("(deleted)"))
              .filter(line -> line.contains("-s ") || line.contains("rw-s"))
              .count();
    }
    return "descriptors %d, vCPU threads %d, shared mappings %d"
        .formatted(descriptors, threads, mappings);
  }

  private VmConfig config(int[] code, int vcpus, Optional<Path> console) throws IOException {
    Path kernel = TinyKernel.write(folder.resolve("vmlinux"), code);
    return new VmConfig("test", vcpus, 8 * MIB, kernel, initramfs, "", SLOTS, console);
  }

  private static VmConfig withVcpus(VmConfig c, int vcpus) {
    return new VmConfig(
        c.id(), vcpus, c.memoryBytes(), c.kernel(), c.initramfs(), "", SLOTS, c.console());
  }

  private static VmConfig withMemory(VmConfig c, long memory) {
    return new VmConfig(
        c.id(), c.vcpus(), memory, c.kernel(), c.initramfs(), "", SLOTS, c.console());
  }

  private static ErrorCode code(Runnable action) {
    return assertThrows(RundException.class, action::run).code();
  }
}
