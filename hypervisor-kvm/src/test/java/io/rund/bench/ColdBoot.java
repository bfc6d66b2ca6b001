package io.rund.bench;

import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VsockStream;
import io.rund.kvm.KvmHypervisor;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Boots VMs one after the other in one warm process, each until its agent connects, and prints a
 * line of JSON for each. Arguments: kernel, initramfs, count, and a console file if wanted.
 */
final class ColdBoot {
  private static final int AGENT_PORT = 1024;
  private static final long MEMORY = 128 << 20;
  private static final int SLOTS = 16;
  private static final int TIMEOUT_SECONDS = 120;

  private ColdBoot() {}

  public static void main(String[] arguments) throws Exception {
    Path kernel = Path.of(arguments[0]);
    Path initramfs = Path.of(arguments[1]);
    Optional<Path> console =
        arguments.length > 3 ? Optional.of(Path.of(arguments[3])) : Optional.empty();
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      for (int i = 0; i < Integer.parseInt(arguments[2]); i++) {
        VmConfig config =
            new VmConfig("boot" + i, 1, MEMORY, kernel, initramfs, "", SLOTS, console);
        boot(hypervisor, config);
      }
    }
  }

  private static void boot(KvmHypervisor hypervisor, VmConfig config) throws Exception {
    long start = System.nanoTime();
    long closing;
    try (VirtualMachine vm = hypervisor.create(config)) {
      CompletableFuture<Long> connected = new CompletableFuture<>();
      try (AutoCloseable _ = vm.listen(AGENT_PORT, 1, stream -> accept(stream, connected))) {
        long created = System.nanoTime();
        vm.start();
        Object first =
            CompletableFuture.anyOf(connected, vm.exited()).get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
        if (!(first instanceof Long ready)) {
          throw new IllegalStateException("the VM ended before its agent was ready: " + first);
        }
        System.out.printf(
            "{\"create_ms\":%.1f,\"agent_ms\":%.1f,\"total_ms\":%.1f}%n",
            (created - start) / 1e6, (ready - created) / 1e6, (ready - start) / 1e6);
      }
      closing = System.nanoTime();
    }
    System.out.printf("{\"close_ms\":%.1f}%n", (System.nanoTime() - closing) / 1e6);
  }

  private static void accept(VsockStream stream, CompletableFuture<Long> connected) {
    stream.handler(IGNORE);
    connected.complete(System.nanoTime());
  }

  private static final VsockStream.Handler IGNORE =
      new VsockStream.Handler() {
        @Override
        public void readable() {}

        @Override
        public void writable() {}

        @Override
        public void closed() {}
      };
}
