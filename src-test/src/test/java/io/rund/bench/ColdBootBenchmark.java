package io.rund.bench;

import io.rund.agent.VsockAgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.KvmHypervisor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * B1: from the request for a sandbox to the connection of its agent. a: a VM of this process, which
 * is warm, as the engine is. b: QEMU's microvm, from the start of its process; and Firecracker,
 * where there is one. All boot the same kernel and initramfs with the same kernel parameters, one
 * vCPU and as much memory, and wait for the same thing, the agent's connection to vsock port 1024.
 *
 * <p>Arguments: the folder of the distribution, the program vmm-boot, the path of Firecracker or
 * nothing, the number of pairs, the folder for the result. Needs KVM that can run a kernel, and
 * vhost-vsock.
 */
final class ColdBootBenchmark {
  private static final int MEMORY_MIB = 256;
  private static final int SLOTS = 16;
  private static final int WARM_UPS = 2;
  private static final int TIMEOUT_SECONDS = 180;
  private static final int AGENT_PORT = 1024;
  private static final double TARGET = 0.5;
  private static final double FIRECRACKER_TARGET = 1.0;

  private final KvmHypervisor hypervisor;
  private final Path kernel;
  private final Path initramfs;
  private final String vmmBoot;
  private int boots;

  private ColdBootBenchmark(KvmHypervisor hypervisor, Path share, String vmmBoot) {
    this.hypervisor = hypervisor;
    this.kernel = share.resolve("vmlinux");
    this.initramfs = share.resolve("initramfs.cpio");
    this.vmmBoot = vmmBoot;
  }

  public static void main(String[] arguments) throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      ColdBootBenchmark benchmark =
          new ColdBootBenchmark(hypervisor, Path.of(arguments[0], "share"), arguments[1]);
      String firecracker = arguments[2];
      int pairs = Integer.parseInt(arguments[3]);
      Path results = Path.of(arguments[4]);
      benchmark.compare("B1", "QEMU microvm", TARGET, pairs, benchmark::qemu, results);
      if (!firecracker.isEmpty()) {
        benchmark.compare(
            "B1-firecracker",
            "Firecracker",
            FIRECRACKER_TARGET,
            pairs,
            () -> benchmark.firecracker(firecracker),
            results);
      }
    }
  }

  private void compare(
      String id, String other, double target, int pairs, Comparison.Measure boot, Path results)
      throws Exception {
    for (int i = 0; i < WARM_UPS; i++) {
      double _ = rund();
      double _ = boot.once();
    }
    String what = "cold boot to the agent's connection, rund and " + other;
    Comparison.of(id, what, "ms", target, pairs, alone(this::rund), alone(boot)).write(results);
  }

  private static Comparison.Measure alone(Comparison.Measure boot) {
    return () -> {
      StaleTranslations.forget();
      return boot.once();
    };
  }

  private double rund() throws Exception {
    VmConfig config =
        new VmConfig(
            "bench-" + boots++,
            1,
            (long) MEMORY_MIB << 20,
            kernel,
            initramfs,
            "",
            SLOTS,
            Optional.empty());
    long start = System.nanoTime();
    try (VirtualMachine vm = hypervisor.create(config)) {
      CompletableFuture<GuestAgent> agent = new VsockAgentConnector("bench").listen(vm);
      vm.start();
      Object first =
          CompletableFuture.anyOf(agent, vm.exited()).get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      long end = System.nanoTime();
      if (!(first instanceof GuestAgent)) {
        throw new IllegalStateException("the VM ended before its agent connected: " + first);
      }
      return (end - start) / 1e6;
    }
  }

  private double qemu() throws IOException, InterruptedException {
    return boot(
        "vsock",
        QemuMicrovm.command(
            kernel,
            initramfs,
            MEMORY_MIB,
            "-device",
            "vhost-vsock-device,guest-cid=" + (1000 + boots)));
  }

  /** Its sockets are in a new folder each time: it leaves them behind. */
  private double firecracker(String binary) throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("rund-bench-firecracker");
    try {
      return boot(
          Firecracker.socket(folder, AGENT_PORT).toString(),
          Firecracker.command(binary, folder, kernel, initramfs, MEMORY_MIB));
    } finally {
      var _ = Programs.output("rm", "-r", folder.toString());
    }
  }

  private double boot(String socket, List<String> command)
      throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of(vmmBoot, socket));
    all.addAll(command);
    return Double.parseDouble(Programs.output(all));
  }
}
