package io.rund.kvm.bus;

/**
 * A device's window of registers. Called on a vCPU's thread, by several at once if the guest wants
 * that, and must not block: the vCPU stands still meanwhile. Nothing may be allocated per call.
 */
public interface MmioDevice {
  /**
   * Reads {@code size} bytes (1, 2, 4 or 8) at {@code offset} in the window; little endian, upper
   * bytes of the result are ignored. What cannot be read is answered with 0 or all ones, as
   * hardware would; {@link io.rund.kvm.memory.GuestFault} ends the VM.
   */
  long read(int offset, int size);

  /** Writes the low {@code size} bytes (1, 2, 4 or 8) of {@code value}. */
  void write(int offset, int size, long value);
}
