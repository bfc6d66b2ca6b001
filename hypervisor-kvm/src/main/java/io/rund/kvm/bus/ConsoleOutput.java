package io.rund.kvm.bus;

/** Where a console's characters go. Called by one thread at a time. */
interface ConsoleOutput {
  void append(byte character);
}
