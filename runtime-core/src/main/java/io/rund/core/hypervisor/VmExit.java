package io.rund.core.hypervisor;

/** Why a VM is no more. */
public sealed interface VmExit {
  /** The guest powered off or reset itself (port 0x64 reset, triple fault after `reboot=t`). */
  record GuestShutdown(String lastWords) implements VmExit {}

  /** {@link VirtualMachine#close()} ended it. */
  record Closed() implements VmExit {}

  /** It cannot go on: an exit that must not happen, or a fault of the VMM. */
  record Failed(String reason) implements VmExit {}
}
