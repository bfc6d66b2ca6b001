package io.rund.bench;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.rund.core.hypervisor.MacAddress;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.KvmHypervisor;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * B9: TCP between a guest and the host, over the same tap. a: the network card of this process. b:
 * QEMU's virtio-net in QEMU itself, without vhost. Both boot the same kernel with net-bench as its
 * init, one vCPU and as much memory; the other end is net-bench on the host, a process of its own.
 *
 * <p>Arguments: the guest kernel, an initramfs with net-bench, the program net-bench, the number of
 * pairs, the folder for the results. Needs KVM that can run a kernel, and taps.
 */
final class NetworkBenchmark {
  private static final int MEMORY_MIB = 256;
  private static final int TIMEOUT_SECONDS = 300;
  private static final int MTU = 1500;
  private static final MacAddress MAC = new MacAddress(0x525400123456L);

  private static final double TARGET = 1.0;

  private final KvmHypervisor hypervisor;
  private final BenchTap tap;
  private final Path kernel;
  private final Path initramfs;
  private final String program;
  private int boots;

  /** A guest that works and resets itself. */
  private interface Guest {
    void run() throws Exception;
  }

  private NetworkBenchmark(
      KvmHypervisor hypervisor, BenchTap tap, Path kernel, Path initramfs, String program) {
    this.hypervisor = hypervisor;
    this.tap = tap;
    this.kernel = kernel;
    this.initramfs = initramfs;
    this.program = program;
  }

  public static void main(String[] arguments) throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor();
        BenchTap tap = new BenchTap()) {
      NetworkBenchmark benchmark =
          new NetworkBenchmark(
              hypervisor, tap, Path.of(arguments[0]), Path.of(arguments[1]), arguments[2]);
      GuestTimes.compare(
          "B9",
          "TCP over a tap, %s, rund and QEMU without vhost",
          TARGET,
          Integer.parseInt(arguments[3]),
          Path.of(arguments[4]),
          () -> benchmark.times(benchmark::rund),
          () -> benchmark.times(benchmark::qemu));
    }
  }

  private Map<String, Double> times(Guest guest) throws Exception {
    Process host =
        new ProcessBuilder(program, BenchTap.ADDRESS)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try {
      guest.run();
      // It ends when it has been told the times.
      Programs.awaitEnd(host, 10);
      String lines = new String(host.getInputStream().readAllBytes(), US_ASCII);
      return GuestTimes.parse(lines.lines().toList());
    } finally {
      host.destroyForcibly().waitFor();
    }
  }

  private void rund() throws Exception {
    VmConfig config =
        new VmConfig(
            "bench-" + boots++,
            1,
            (long) MEMORY_MIB << 20,
            kernel,
            initramfs,
            "",
            1,
            Optional.empty());
    try (VirtualMachine vm = hypervisor.create(config)) {
      var _ = vm.plug(new NicConfig(BenchTap.NAME, tap.open(), MAC, MTU));
      vm.start();
      var _ = vm.exited().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
  }

  private void qemu() throws Exception {
    Process qemu =
        Programs.start(
            QemuMicrovm.command(
                kernel,
                initramfs,
                MEMORY_MIB,
                "-netdev",
                "tap,id=net,vhost=off,script=no,downscript=no,ifname=" + BenchTap.NAME,
                "-device",
                "virtio-net-device,netdev=net,mac=" + MAC));
    Programs.awaitEnd(qemu, TIMEOUT_SECONDS);
  }
}
