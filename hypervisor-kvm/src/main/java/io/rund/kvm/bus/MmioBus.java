package io.rund.kvm.bus;

/**
 * The devices' windows in guest-physical space: equal in size and next to each other, so that
 * finding a device is a shift. Immutable; called on vCPU threads.
 */
public final class MmioBus {
  /** Address of the first window, in the hole that guest RAM leaves below 4 GiB. */
  public static final long BASE = 0xd000_0000L;

  /** Bytes of one window. */
  public static final int WINDOW = 4096;

  private static final int WINDOW_SHIFT = Integer.numberOfTrailingZeros(WINDOW);
  private static final long ALL_ONES = -1L;

  private final MmioDevice[] devices;

  /** The i-th device gets the i-th window. */
  public MmioBus(MmioDevice... devices) {
    this.devices = devices.clone();
  }

  /** Where the i-th window begins. */
  public static long address(int i) {
    return BASE + (long) i * WINDOW;
  }

  /** Reads from the device at {@code address}; all ones if there is none, as a PC answers. */
  public long read(long address, int size) {
    MmioDevice device = find(address);
    return device == null || !isPowerOfTwo(size)
        ? ALL_ONES
        : device.read((int) address & (WINDOW - 1), size);
  }

  /** Writes to the device at {@code address}; without one the write goes nowhere. */
  public void write(long address, int size, long value) {
    MmioDevice device = find(address);
    if (device != null && isPowerOfTwo(size)) {
      device.write((int) address & (WINDOW - 1), size, value);
    }
  }

  private MmioDevice find(long address) {
    long window = (address - BASE) >> WINDOW_SHIFT;
    return window >= 0 && window < devices.length ? devices[(int) window] : null;
  }

  /** KVM cuts an access at the end of a page, which leaves odd sizes that no driver uses. */
  private static boolean isPowerOfTwo(int size) {
    return (size & (size - 1)) == 0;
  }
}
