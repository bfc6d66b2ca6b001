package io.rund.kvm.bus;

/**
 * As much of an 8250 serial port (National Semiconductor PC16550D) as Linux's driver needs to
 * print: always ready to send, nothing ever received. For debugging only. Safe for use by several
 * vCPU threads.
 */
public final class Uart8250 {
  /** The interrupt of COM1 on a PC. */
  public static final int GSI = 4;

  private static final int DATA = 0;
  private static final int INTERRUPT_ENABLE = 1;
  private static final int INTERRUPT_IDENTITY = 2;
  private static final int LINE_CONTROL = 3;
  private static final int MODEM_CONTROL = 4;
  private static final int LINE_STATUS = 5;
  private static final int MODEM_STATUS = 6;
  private static final int SCRATCH = 7;

  private static final int ENABLE_TRANSMIT_EMPTY = 0x02;
  private static final int IDENTITY_NONE = 0x01;
  private static final int IDENTITY_TRANSMIT_EMPTY = 0x02;
  private static final int DIVISOR_LATCH = 0x80;

  /** Transmitter and its holding register empty. */
  private static final int STATUS_READY = 0x60;

  /** Carrier, data set ready, clear to send: somebody listens. */
  private static final int MODEM_READY = 0xb0;

  private static final int REGISTERS = 8;

  private final ConsoleOutput output;
  private final Runnable interrupt;
  private final int[] registers = new int[REGISTERS];
  private final int[] divisor = new int[2];
  private boolean transmitEmptyPending;

  public Uart8250(ConsoleOutput output, Runnable interrupt) {
    this.output = output;
    this.interrupt = interrupt;
  }

  synchronized int read(int register) {
    return switch (register) {
      case DATA -> divisorLatch() ? divisor[0] : 0;
      case INTERRUPT_ENABLE -> divisorLatch() ? divisor[1] : registers[INTERRUPT_ENABLE];
      case INTERRUPT_IDENTITY -> {
        int identity = transmitEmptyPending ? IDENTITY_TRANSMIT_EMPTY : IDENTITY_NONE;
        transmitEmptyPending = false;
        yield identity;
      }
      case LINE_STATUS -> STATUS_READY;
      case MODEM_STATUS -> MODEM_READY;
      default -> registers[register];
    };
  }

  synchronized void write(int register, int value) {
    switch (register) {
      case DATA -> {
        if (divisorLatch()) {
          divisor[0] = value;
        } else {
          output.append((byte) value);
          raiseTransmitEmpty();
        }
      }
      case INTERRUPT_ENABLE -> {
        if (divisorLatch()) {
          divisor[1] = value;
        } else {
          registers[INTERRUPT_ENABLE] = value & 0x0f;
          raiseTransmitEmpty();
        }
      }
      case LINE_CONTROL, MODEM_CONTROL, SCRATCH -> registers[register] = value;
      default -> {} // FIFO control, and registers that are read-only.
    }
  }

  private void raiseTransmitEmpty() {
    if ((registers[INTERRUPT_ENABLE] & ENABLE_TRANSMIT_EMPTY) != 0) {
      transmitEmptyPending = true;
      interrupt.run();
    }
  }

  private boolean divisorLatch() {
    return (registers[LINE_CONTROL] & DIVISOR_LATCH) != 0;
  }
}
