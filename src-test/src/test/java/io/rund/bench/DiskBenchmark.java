package io.rund.bench;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.KvmHypervisor;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * B8: a guest's work on a disk. a: the block device of this process. b: QEMU's virtio-blk with its
 * defaults, which are the host's page cache too. Both boot the same kernel with disk-bench as its
 * init, one vCPU and as much memory, and have the same file of the host as their disk.
 *
 * <p>Arguments: the guest kernel, an initramfs with disk-bench, a folder on the file system to be
 * measured, the number of pairs, the folder for the results. Needs KVM that can run a kernel.
 */
final class DiskBenchmark {
  private static final int MEMORY_MIB = 256;
  private static final int TIMEOUT_SECONDS = 300;
  private static final long DISK_BYTES = 128L << 20;

  /** What disk-bench writes its times into. */
  private static final int BLOCK = 4096;

  private static final double TARGET = 1.0;

  private final KvmHypervisor hypervisor;
  private final Path kernel;
  private final Path initramfs;
  private final Path disk;
  private int boots;

  private DiskBenchmark(KvmHypervisor hypervisor, Path kernel, Path initramfs, Path disk) {
    this.hypervisor = hypervisor;
    this.kernel = kernel;
    this.initramfs = initramfs;
    this.disk = disk;
  }

  public static void main(String[] arguments) throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      DiskBenchmark benchmark =
          new DiskBenchmark(
              hypervisor,
              Path.of(arguments[0]),
              Path.of(arguments[1]),
              Path.of(arguments[2], "disk"));
      benchmark.fill();
      GuestTimes.compare(
          "B8",
          "disk, %s at once, rund and QEMU's virtio-blk",
          TARGET,
          Integer.parseInt(arguments[3]),
          Path.of(arguments[4]),
          benchmark::rund,
          benchmark::qemu);
    }
  }

  /** Blocks that are there: a sparse file's first writes would be another thing. */
  private void fill() throws IOException {
    byte[] chunk = new byte[1 << 20];
    try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
      for (long at = 0; at < DISK_BYTES; at += chunk.length) {
        file.write(chunk);
      }
      file.getFD().sync();
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
      var _ = vm.plug(new DiskConfig(disk, false));
      vm.start();
      var _ = vm.exited().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
    return times();
  }

  private Map<String, Double> qemu() throws Exception {
    Process qemu =
        Programs.start(
            QemuMicrovm.command(
                kernel,
                initramfs,
                MEMORY_MIB,
                "-drive",
                "if=none,id=disk,format=raw,file=" + disk,
                "-device",
                "virtio-blk-device,drive=disk"));
    Programs.awaitEnd(qemu, TIMEOUT_SECONDS);
    return times();
  }

  private Map<String, Double> times() throws IOException {
    byte[] block = new byte[BLOCK];
    try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
      file.readFully(block);
      file.seek(0);
      file.write(new byte[BLOCK]);
    }
    String text = new String(block, US_ASCII);
    if (text.charAt(0) == 0) {
      throw new IllegalStateException("disk-bench wrote no times");
    }
    return GuestTimes.parse(text.substring(0, text.indexOf(0)).lines().toList());
  }
}
