package io.rund.core.hypervisor;

import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.List;

/** Makes VMs. */
public interface Hypervisor {
  /**
   * Allocates a VM, loads kernel and initramfs and sets up its devices, ready for {@link
   * VirtualMachine#start}.
   *
   * @throws RundException UNAVAILABLE if KVM cannot be used, INVALID_ARGUMENT for a kernel that is
   *     none, RESOURCE_EXHAUSTED for lack of memory; nothing stays allocated
   */
  VirtualMachine create(VmConfig config);

  /**
   * Reads what {@link VmTemplate#save} wrote, also for another process or before the host's last
   * boot, and checks all of it. The file may change afterwards. One that cannot read templates has
   * no use for any.
   *
   * @param config of the template's VMs
   * @throws RundException FAILED_PRECONDITION, saying why, if the file is damaged or was made for
   *     another CPU, kernel or configuration; another code if the host has no means for it now;
   *     nothing stays allocated
   */
  default VmTemplate load(VmConfig config, FileChannel file) throws IOException {
    throw RundException.precondition("this hypervisor reads no templates");
  }

  /** What it has made for the VMs to come. */
  default List<Pool> pools() {
    return List.of();
  }
}
