package io.rund.kvm;

import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.snapshot.SnapshotIdentity;
import io.rund.kvm.snapshot.SnapshotIdentity.Fact;
import io.rund.kvm.sys.CpuidEntry;
import io.rund.kvm.sys.KvmSystem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import java.util.zip.CRC32C;

/**
 * What a VM has of its host and its configuration that its guest has seen by the time it has
 * booted: with other answers a snapshot of it is not gone on from.
 */
final class HostIdentity {
  private static final int STEP = 1 << 20;

  private HostIdentity() {}

  /**
   * Reads kernel and guest image.
   *
   * @param irqs for each slot its interrupt
   */
  static SnapshotIdentity of(VmConfig config, List<Integer> irqs, KvmSystem kvm, Boot boot)
      throws IOException {
    List<CpuidEntry> cpuid = boot.cpuid(config.vcpus());
    return new SnapshotIdentity(
        List.of(
            new Fact("guest kernel", content(config.kernel())),
            new Fact("guest image", content(config.initramfs())),
            new Fact("number of vCPUs", Integer.toString(config.vcpus())),
            new Fact("size of memory", Long.toString(config.memoryBytes())),
            new Fact("kernel command line", Boot.commandLine(config, irqs)),
            new Fact("CPU", cpu(cpuid)),
            new Fact("kernel of the host", Files.readString(Path.of("/proc/version")).strip()),
            new Fact(
                "answer of CPUID",
                cpuid.stream().map(HostIdentity::text).collect(Collectors.joining(";"))),
            new Fact(
                "set of MSRs",
                Arrays.stream(kvm.msrIndices())
                    .mapToObj(Integer::toHexString)
                    .collect(Collectors.joining(",")))));
  }

  /**
   * Size and two checksums of a file. Who could make a file that is another one and looks the same
   * may write to this one, too; against mistakes 64 bits are plenty. SHA-256 of the kernel takes a
   * JVM that has just started longer than a guest takes to boot.
   */
  private static String content(Path path) throws IOException {
    CRC32 crc = new CRC32();
    CRC32C crcC = new CRC32C();
    long size = 0;
    ByteBuffer buffer = ByteBuffer.allocateDirect(STEP);
    try (FileChannel file = FileChannel.open(path, StandardOpenOption.READ)) {
      while (file.read(buffer.clear()) >= 0) {
        size += buffer.flip().remaining();
        crc.update(buffer.duplicate());
        crcC.update(buffer);
      }
    }
    return "%d bytes, CRC-32 %08x, CRC-32C %08x".formatted(size, crc.getValue(), crcC.getValue());
  }

  /** Vendor, and the signature as CPUID leaf 1 has it (Intel SDM volume 2, CPUID). */
  private static String cpu(List<CpuidEntry> cpuid) {
    String vendor = "";
    String model = "";
    for (CpuidEntry entry : cpuid) {
      if (entry.function() == 0) {
        ByteBuffer name = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
        name.putInt(entry.ebx()).putInt(entry.edx()).putInt(entry.ecx());
        vendor = new String(name.array(), StandardCharsets.US_ASCII);
      } else if (entry.function() == 1) {
        int eax = entry.eax();
        model =
            "family %d model %d stepping %d"
                .formatted(
                    ((eax >> 8) & 15) + ((eax >> 20) & 255),
                    ((eax >> 12) & 0xf0) | ((eax >> 4) & 15),
                    eax & 15);
      }
    }
    return vendor + " " + model;
  }

  private static String text(CpuidEntry e) {
    int[] numbers = {e.function(), e.index(), e.flags(), e.eax(), e.ebx(), e.ecx(), e.edx()};
    return Arrays.stream(numbers).mapToObj(Integer::toHexString).collect(Collectors.joining(","));
  }
}
