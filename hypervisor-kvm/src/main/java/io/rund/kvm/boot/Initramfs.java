package io.rund.kvm.boot;

import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestMemory;
import java.io.IOException;
import java.nio.file.Path;

/**
 * The initramfs in guest memory: at the top of the RAM below 3 GiB, out of the kernel's way.
 *
 * @param address guest-physical, page-aligned
 * @param size in bytes
 */
record Initramfs(long address, long size) {
  /**
   * @param kernelEnd the first address that is free
   * @throws RundException INVALID_ARGUMENT if the file cannot be read or does not fit
   */
  static Initramfs load(Path path, GuestMemory memory, long kernelEnd) {
    try (MappedFile file = new MappedFile(path)) {
      long size = file.size();
      if (size == 0) {
        throw RundException.invalid("guest image " + path + " is empty; build it anew");
      }
      long top = Math.min(memory.size(), GuestMemory.HOLE_START);
      long address = (top - size) & -GuestMemory.PAGE_SIZE;
      if (address < kernelEnd) {
        throw RundException.invalid(
            "guest memory of %d MiB is too small for the kernel and guest image %s (%d MiB);"
                    .formatted(memory.size() >> 20, path, Math.ceilDiv(size, 1L << 20))
                + " raise the limit");
      }
      file.copy(0, size, memory, address);
      return new Initramfs(address, size);
    } catch (IOException e) {
      throw RundException.invalid(
          "cannot read guest image " + path + ": " + e + "; set it to an existing initramfs");
    }
  }
}
