package io.rund.bench;

import io.rund.agent.VsockAgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.KvmHypervisor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * B1: from the request for a sandbox to the connection of its agent. a: a VM of this process, which
 * is warm, as the engine is. b: QEMU's microvm, from the start of its process. Both boot the same
 * kernel and initramfs with the same kernel parameters, one vCPU and as much memory, and both wait
 * for the same thing, the agent's connection to vsock port 1024.
 *
 * <p>Arguments: the folder of the distribution, the program qemu-boot, the number of pairs, the
 * folder for the result. Needs KVM that can run a kernel, and vhost-vsock.
 */
final class ColdBootBenchmark {
  private static final int MEMORY_MIB = 256;
  private static final int SLOTS = 16;
  private static final int WARM_UPS = 2;
  private static final int TIMEOUT_SECONDS = 180;
  private static final double TARGET = 0.5;

  private final KvmHypervisor hypervisor;
  private final Path kernel;
  private final Path initramfs;
  private final String qemuBoot;
  private int boots;

  private ColdBootBenchmark(KvmHypervisor hypervisor, Path share, String qemuBoot) {
    this.hypervisor = hypervisor;
    this.kernel = share.resolve("vmlinux");
    this.initramfs = share.resolve("initramfs.cpio");
    this.qemuBoot = qemuBoot;
  }

  public static void main(String[] arguments) throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      ColdBootBenchmark benchmark =
          new ColdBootBenchmark(hypervisor, Path.of(arguments[0], "share"), arguments[1]);
      for (int i = 0; i < WARM_UPS; i++) {
        double _ = benchmark.rund();
        double _ = benchmark.qemu();
      }
      Comparison.of(
              "B1",
              "cold boot to the agent's connection, rund and QEMU microvm",
              "ms",
              TARGET,
              Integer.parseInt(arguments[2]),
              benchmark::rund,
              benchmark::qemu)
          .write(Path.of(arguments[3]));
    }
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
    List<String> command = new ArrayList<>(List.of(qemuBoot));
    command.addAll(
        QemuMicrovm.command(
            kernel,
            initramfs,
            MEMORY_MIB,
            "-device",
            "vhost-vsock-device,guest-cid=" + (1000 + boots)));
    return Double.parseDouble(Programs.output(command));
  }
}
