package io.rund.bench;

import io.rund.core.hypervisor.VmExit;
import io.rund.kvm.TestMachine;
import io.rund.kvm.bus.MmioDevice;

/**
 * Measures the round trip of a VM exit: guest to this process's devices and back. The Java half of
 * benchmark B7; the other is native/bench/kvm-exit.c, with the same guest code. Arguments: exits
 * and rounds. Prints a line of JSON for each round after the warm-up, nanoseconds an exit.
 */
final class ExitRoundTrip {
  private static final int WARM_UP_ROUNDS = 3;

  /** mov ecx, EXITS; loop: out 0x80, al; dec ecx; jnz loop; mov al, 0xfe; out 0x64, al */
  private static final int[] PIO_CODE = {
    0x66, 0xb9, 0, 0, 0, 0, 0xe6, 0x80, 0x66, 0x49, 0x75, 0xfa, 0xb0, 0xfe, 0xe6, 0x64
  };

  /** mov ecx, EXITS; loop: mov eax, [4]; dec ecx; jnz loop; mov al, 0xfe; out 0x64, al */
  private static final int[] MMIO_CODE = {
    0x66, 0xb9, 0, 0, 0, 0, 0x66, 0xa1, 0x04, 0x00, 0x66, 0x49, 0x75, 0xf8, 0xb0, 0xfe, 0xe6, 0x64
  };

  private static final int EXITS_OFFSET = 2;

  private static final MmioDevice DEVICE =
      new MmioDevice() {
        @Override
        public long read(int offset, int size) {
          return 42;
        }

        @Override
        public void write(int offset, int size, long value) {}
      };

  private ExitRoundTrip() {}

  public static void main(String[] arguments) throws Exception {
    int exits = Integer.parseInt(arguments[0]);
    int rounds = Integer.parseInt(arguments[1]);
    for (int round = -WARM_UP_ROUNDS; round < rounds; round++) {
      double pio = measure(PIO_CODE, exits);
      double mmio = measure(MMIO_CODE, exits);
      if (round >= 0) {
        System.out.printf("{\"pio_ns\":%.1f,\"mmio_ns\":%.1f}%n", pio, mmio);
      }
    }
  }

  private static double measure(int[] code, int exits) throws Exception {
    try (TestMachine machine = new TestMachine(1, null, new MmioDevice[] {DEVICE}, code)) {
      machine.memory.putInt(TestMachine.CODE + EXITS_OFFSET, exits);
      long start = System.nanoTime();
      VmExit exit = machine.runToEnd();
      long end = System.nanoTime();
      if (!(exit instanceof VmExit.GuestShutdown)) {
        throw new IllegalStateException("the guest did not end as it should: " + exit);
      }
      return (double) (end - start) / exits;
    }
  }
}
