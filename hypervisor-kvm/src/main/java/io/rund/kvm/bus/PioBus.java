package io.rund.kvm.bus;

/**
 * The few I/O ports of this machine: a console if one is wanted, and the keyboard controller's
 * reset. All others float, as on a PC's bus. Called on vCPU threads.
 */
public final class PioBus {
  /** Command port of the 8042 keyboard controller. */
  private static final int KEYBOARD_COMMAND = 0x64;

  /** "Pulse the CPU's reset pin", the classic way to reboot a PC. */
  private static final int RESET_COMMAND = 0xfe;

  /** First port of COM1. */
  private static final int COM1 = 0x3f8;

  private static final int COM1_PORTS = 8;
  private static final int ALL_ONES = -1;

  private final Uart8250 console;

  /**
   * @param console at COM1; null for none
   */
  public PioBus(Uart8250 console) {
    this.console = console;
  }

  /** Reads {@code size} bytes (1, 2 or 4); upper bytes of the result are ignored. */
  public int read(int port, int size) {
    if (port == KEYBOARD_COMMAND) {
      return 0; // Both buffers empty: whoever waits to send a command may go on.
    }
    if (isConsole(port) && size == 1) {
      return console.read(port - COM1);
    }
    return ALL_ONES;
  }

  /** Writes the low {@code size} bytes of {@code value}; true if the guest resets itself. */
  public boolean write(int port, int size, int value) {
    if (isConsole(port) && size == 1) {
      console.write(port - COM1, value & 0xff);
    }
    return port == KEYBOARD_COMMAND && (value & 0xff) == RESET_COMMAND;
  }

  private boolean isConsole(int port) {
    return console != null && port >= COM1 && port < COM1 + COM1_PORTS;
  }
}
