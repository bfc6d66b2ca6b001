package io.rund.kvm.memory;

/**
 * The guest named memory that it does not have, or broke a rule that its driver must keep. The
 * fault is the guest's alone: whoever serves that guest catches it, and marks the device broken or
 * ends the VM. It has no stack trace, so that a guest which makes many of them costs little.
 */
public final class GuestFault extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public GuestFault(String message) {
    super(message, null, false, false);
  }
}
