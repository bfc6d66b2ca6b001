package io.rund.kvm.bus;

import io.rund.core.linux.Fd;

/**
 * Turns a guest's 32-bit MMIO write into a signal on an eventfd, in the kernel: the vCPU goes on at
 * once and no exit reaches this process (KVM_IOEVENTFD). May be called from any thread.
 */
public interface KickRegistry {
  /** Signals {@code eventFd} when the guest writes {@code value} to {@code address}. */
  void assignKick(Fd eventFd, long address, int value);

  /** Undoes {@link #assignKick} with the same arguments; must come before the eventfd is closed. */
  void removeKick(Fd eventFd, long address, int value);
}
