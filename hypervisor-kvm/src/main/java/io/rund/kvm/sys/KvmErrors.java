package io.rund.kvm.sys;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;

/** Tells what a failed KVM call means to the person who wanted a sandbox. */
final class KvmErrors {
  private static final int ENOENT = 2;
  private static final int ENOMEM = 12;
  private static final int EACCES = 13;
  private static final int ENODEV = 19;
  private static final int ENFILE = 23;
  private static final int EMFILE = 24;

  private KvmErrors() {}

  /** {@code what} reads after "cannot": "create a VM (KVM_CREATE_VM)". */
  static RundException of(String what, LastErrorException e) {
    String message = "cannot " + what + ": " + e.getMessage();
    return switch (e.getErrorCode()) {
      case ENOMEM, ENFILE, EMFILE ->
          new RundException(
              ErrorCode.RESOURCE_EXHAUSTED,
              message + "; free memory or raise the limit of open files",
              e);
      case ENOENT ->
          RundException.unavailable(
              message + "; load kvm_intel or kvm_amd and enable virtualization in the firmware", e);
      case EACCES -> RundException.unavailable(message + "; run as root or join group kvm", e);
      case ENODEV ->
          RundException.unavailable(message + "; another hypervisor may hold the CPU", e);
      default -> RundException.internal(message, e);
    };
  }
}
