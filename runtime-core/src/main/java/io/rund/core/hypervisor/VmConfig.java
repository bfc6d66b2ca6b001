package io.rund.core.hypervisor;

import java.nio.file.Path;
import java.util.Optional;

/**
 * What a VM is made of.
 *
 * @param id the sandbox's id, for names of threads and memfds and for messages
 * @param vcpus number of vCPUs, at least 1
 * @param memoryBytes guest RAM, a multiple of 4096
 * @param kernel an uncompressed x86-64 ELF kernel (vmlinux)
 * @param initramfs the guest OS image, a cpio archive as the kernel unpacks it
 * @param extraCommandLine appended to the kernel command line; may be empty
 * @param slots number of virtio-mmio transports for devices that may be plugged, beside the fixed
 *     ones
 * @param console where the guest's 8250 serial console is written; without it the guest has none
 */
public record VmConfig(
    String id,
    int vcpus,
    long memoryBytes,
    Path kernel,
    Path initramfs,
    String extraCommandLine,
    int slots,
    Optional<Path> console) {

  /** The same for another sandbox. */
  public VmConfig withId(String other) {
    return new VmConfig(
        other, vcpus, memoryBytes, kernel, initramfs, extraCommandLine, slots, console);
  }
}
