package io.rund.core.hypervisor;

/** Makes VMs. */
public interface Hypervisor {
  /**
   * Allocates a VM, loads kernel and initramfs and sets up its devices, ready for {@link
   * VirtualMachine#start}.
   *
   * @throws io.rund.core.error.RundException UNAVAILABLE if KVM cannot be used, INVALID_ARGUMENT
   *     for a kernel that is none, RESOURCE_EXHAUSTED for lack of memory; nothing stays allocated
   */
  VirtualMachine create(VmConfig config);
}
