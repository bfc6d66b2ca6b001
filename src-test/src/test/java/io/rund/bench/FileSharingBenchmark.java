package io.rund.bench;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.KvmHypervisor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * B10: a guest's work in a folder of the host. a: the virtio-fs device of this process. b: QEMU
 * with Debian's virtiofsd, both with their defaults: names and attributes believed for a second.
 * Both boot the same kernel with fs-bench as its init, one vCPU and as much memory, and work in the
 * same folder.
 *
 * <p>Arguments: the guest kernel, an initramfs with fs-bench, a folder on the file system to be
 * measured, the number of pairs, the folder for the results. Needs KVM that can run a kernel.
 */
final class FileSharingBenchmark {
  private static final int MEMORY_MIB = 256;
  private static final int TIMEOUT_SECONDS = 300;

  /** As fast as virtiofsd, or faster. */
  private static final double TARGET = 1.0;

  private static final String VIRTIOFSD = "/usr/lib/qemu/virtiofsd";

  private final KvmHypervisor hypervisor;
  private final Path kernel;
  private final Path initramfs;

  /** What is shared with QEMU; rund shares the folder "bench" in it under that name. */
  private final Path root;

  private final Path folder;
  private int boots;

  private FileSharingBenchmark(KvmHypervisor hypervisor, Path kernel, Path initramfs, Path root)
      throws IOException {
    this.hypervisor = hypervisor;
    this.kernel = kernel;
    this.initramfs = initramfs;
    this.root = root;
    this.folder = Files.createDirectories(root.resolve("bench"));
  }

  public static void main(String[] arguments) throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      FileSharingBenchmark benchmark =
          new FileSharingBenchmark(
              hypervisor,
              Path.of(arguments[0]),
              Path.of(arguments[1]),
              Files.createDirectories(Path.of(arguments[2])));
      GuestTimes.compare(
          "B10",
          "shared folder, %s, rund and QEMU with virtiofsd",
          TARGET,
          Integer.parseInt(arguments[3]),
          Path.of(arguments[4]),
          benchmark::rund,
          benchmark::qemu);
    }
  }

  private Map<String, Double> rund() throws Exception {
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
      Fd directory = Fd.open(folder.toString(), Linux.O_PATH);
      vm.share(new Share("bench", directory, false, CachePolicy.AUTO));
      vm.start();
      var _ = vm.exited().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
    return times();
  }

  private Map<String, Double> qemu() throws Exception {
    Path socket = root.resolve("virtiofsd.sock");
    Process server =
        Programs.start(
            List.of(
                VIRTIOFSD,
                "--socket-path=" + socket,
                "-o",
                "source=" + root,
                "-o",
                "sandbox=chroot"));
    try {
      while (!Files.exists(socket)) {
        if (server.waitFor(50, TimeUnit.MILLISECONDS)) {
          throw new IllegalStateException("virtiofsd ended with " + server.exitValue());
        }
      }
      Process qemu =
          Programs.start(
              QemuMicrovm.command(
                  kernel,
                  initramfs,
                  MEMORY_MIB,
                  "-chardev",
                  "socket,id=fs,path=" + socket,
                  "-device",
                  "vhost-user-fs-device,chardev=fs,tag=rund,queue-size=1024"));
      Programs.awaitEnd(qemu, TIMEOUT_SECONDS);
    } finally {
      server.destroyForcibly().waitFor();
      Files.deleteIfExists(socket);
    }
    return times();
  }

  private Map<String, Double> times() throws IOException {
    Path file = folder.resolve("times");
    Map<String, Double> times = GuestTimes.parse(Files.readAllLines(file));
    Files.delete(file);
    return times;
  }
}
