package io.rund.kvm.virtio;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;

/** What the driver has written for one queue, and whether it may be used (virtio 1.2, 4.2.2). */
final class QueueRegisters {
  static final int SIZE = 0x038;
  static final int READY = 0x044;
  private static final int DESCRIPTORS = 0x080;
  private static final int AVAILABLE = 0x090;
  private static final int USED = 0x0a0;

  private int size;
  private boolean ready;
  private long descriptors;
  private long available;
  private long used;

  boolean isReady() {
    return ready;
  }

  /** The registers of a queue that was in use. */
  static QueueRegisters inUse(Virtqueue.Layout layout) {
    QueueRegisters registers = new QueueRegisters();
    registers.size = layout.size();
    registers.descriptors = layout.descriptors();
    registers.available = layout.available();
    registers.used = layout.used();
    registers.ready = true;
    return registers;
  }

  Virtqueue.Layout layout() {
    return new Virtqueue.Layout(size, descriptors, available, used);
  }

  /**
   * Writes one of the registers; others are ignored, and so is all but READY while the queue is.
   *
   * @throws GuestFault if the queue is declared ready and may not be
   */
  void write(int register, int value, GuestMemory memory, int maxSize) {
    if (register == READY) {
      ready = false;
      if (value == 1) {
        layout().check(memory, maxSize);
        ready = true;
      }
      return;
    }
    if (ready) {
      return;
    }
    switch (register) {
      case SIZE -> size = value;
      case DESCRIPTORS -> descriptors = low(descriptors, value);
      case DESCRIPTORS + 4 -> descriptors = high(descriptors, value);
      case AVAILABLE -> available = low(available, value);
      case AVAILABLE + 4 -> available = high(available, value);
      case USED -> used = low(used, value);
      case USED + 4 -> used = high(used, value);
      default -> {
        // Not a register that can be written.
      }
    }
  }

  private static long low(long old, int value) {
    return (old & 0xffff_ffff_0000_0000L) | Integer.toUnsignedLong(value);
  }

  private static long high(long old, int value) {
    return (old & 0xffff_ffffL) | ((long) value << 32);
  }
}
