package io.rund.kvm.fs;

import io.rund.core.linux.Linux;

/** What the guest is told. */
final class Errno {
  private Errno() {}

  /** That the engine has no descriptor left is no limit of the guest's process: ENFILE. */
  static int ofOpen(int result) {
    return result == -Linux.EMFILE ? -Linux.ENFILE : result;
  }
}
