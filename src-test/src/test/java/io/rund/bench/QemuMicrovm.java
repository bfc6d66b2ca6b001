package io.rund.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The command of a QEMU that boots what rund boots: microvm, every device that is not needed off,
 * virtio-mmio as virtio 1, one vCPU, and the kernel parameters that rund gives.
 */
final class QemuMicrovm {
  /** What io.rund.kvm.boot.CommandLine gives a guest, but for its devices. */
  static final String PARAMETERS =
      "rdinit=/init reboot=t panic=-1 no_timer_check noreplace-smp random.trust_cpu=on tsc=reliable"
          + " quiet loglevel=1 8250.nr_uarts=0";

  private QemuMicrovm() {}

  /**
   * @param memoryMib guest RAM, in MiB
   * @param devices further arguments
   */
  static List<String> command(Path kernel, Path initramfs, int memoryMib, String... devices) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "qemu-system-x86_64",
                "-M",
                "microvm,acpi=off,pic=off,pit=off,rtc=off,isa-serial=off,x-option-roms=off,memory-backend=ram",
                "-object",
                "memory-backend-memfd,id=ram,share=on,size=" + memoryMib + "M",
                "-accel",
                "kvm",
                "-cpu",
                "host",
                "-smp",
                "1",
                "-m",
                memoryMib + "M",
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
                "-global",
                "virtio-mmio.force-legacy=false",
                "-kernel",
                kernel.toString(),
                "-initrd",
                initramfs.toString(),
                "-append",
                PARAMETERS));
    command.addAll(List.of(devices));
    return command;
  }
}
