package io.rund.kvm.boot;

import io.rund.kvm.memory.GuestMemory;
import java.nio.charset.StandardCharsets;

/**
 * Tells the kernel of its CPUs and of how interrupts are wired, without ACPI (Intel MultiProcessor
 * Specification 1.4, chapter 4). CPU i has APIC id i; ISA interrupt i, IOAPIC pin i and Linux's IRQ
 * i are the same, edge-triggered, for all 24 pins.
 */
final class MpTable {
  /** APIC ids are a byte here, 255 is broadcast and one is the IOAPIC's. */
  static final int MAX_CPUS = 254;

  /** Pins of KVM's IOAPIC. */
  static final int IO_APIC_PINS = 24;

  private static final int FLOATING_POINTER_SIZE = 16;
  private static final int HEADER_SIZE = 44;
  private static final byte SPEC_REVISION = 4;

  private static final byte PROCESSOR = 0;
  private static final byte BUS = 1;
  private static final byte IO_APIC = 2;
  private static final byte IO_INTERRUPT = 3;
  private static final byte LOCAL_INTERRUPT = 4;

  private static final byte LOCAL_APIC_VERSION = 0x14;
  private static final byte IO_APIC_VERSION = 0x11;
  private static final byte ENABLED = 1;
  private static final byte BOOT_PROCESSOR = 2;
  private static final byte TYPE_INT = 0;
  private static final byte TYPE_NMI = 1;
  private static final byte TYPE_EXT_INT = 3;
  private static final byte ALL_LOCAL_APICS = (byte) 0xff;
  private static final byte ISA_BUS = 0;

  private final GuestMemory memory;
  private final long table = Layout.MP_TABLE + FLOATING_POINTER_SIZE;
  private long at = table + HEADER_SIZE;
  private int entries;

  private MpTable(GuestMemory memory) {
    this.memory = memory;
  }

  /**
   * @param cpus 1 to {@link #MAX_CPUS}
   * @param signature EAX of CPUID leaf 1
   * @param features EDX of CPUID leaf 1
   */
  static void write(GuestMemory memory, int cpus, int signature, int features) {
    new MpTable(memory).write(cpus, signature, features);
  }

  private void write(int cpus, int signature, int features) {
    for (int cpu = 0; cpu < cpus; cpu++) {
      byte flags = cpu == 0 ? ENABLED | BOOT_PROCESSOR : ENABLED;
      bytes(PROCESSOR, (byte) cpu, LOCAL_APIC_VERSION, flags);
      ints(signature, features, 0, 0);
      entries++;
    }
    bytes(BUS, ISA_BUS);
    text("ISA   ");
    entries++;
    byte ioApicId = (byte) cpus;
    bytes(IO_APIC, ioApicId, IO_APIC_VERSION, ENABLED);
    ints((int) Layout.IO_APIC);
    entries++;
    for (byte pin = 0; pin < IO_APIC_PINS; pin++) {
      interrupt(IO_INTERRUPT, TYPE_INT, pin, ioApicId, pin);
    }
    interrupt(LOCAL_INTERRUPT, TYPE_EXT_INT, (byte) 0, (byte) 0, (byte) 0);
    interrupt(LOCAL_INTERRUPT, TYPE_NMI, (byte) 0, ALL_LOCAL_APICS, (byte) 1);
    writeHeader((int) (at - table));
    writeFloatingPointer();
  }

  /** Polarity and trigger "conform to the bus", which for ISA is high and edge. */
  private void interrupt(byte entry, byte type, byte source, byte destination, byte pin) {
    bytes(entry, type, (byte) 0, (byte) 0, ISA_BUS, source, destination, pin);
    entries++;
  }

  private void writeHeader(int length) {
    at = table;
    text("PCMP");
    bytes((byte) length, (byte) (length >> 8), SPEC_REVISION, (byte) 0);
    text("RUND    RUND        ");
    ints(0);
    bytes((byte) 0, (byte) 0, (byte) entries, (byte) (entries >> 8));
    ints((int) Layout.LOCAL_APIC, 0);
    memory.putByte(table + 7, checksum(table, length));
  }

  private void writeFloatingPointer() {
    at = Layout.MP_TABLE;
    text("_MP_");
    ints((int) table);
    bytes((byte) 1, SPEC_REVISION, (byte) 0, (byte) 0);
    ints(0);
    memory.putByte(Layout.MP_TABLE + 10, checksum(Layout.MP_TABLE, FLOATING_POINTER_SIZE));
  }

  /** What makes the sum of all bytes 0. */
  private byte checksum(long start, int length) {
    byte sum = 0;
    for (int i = 0; i < length; i++) {
      sum += memory.getByte(start + i);
    }
    return (byte) -sum;
  }

  private void bytes(byte... values) {
    for (byte value : values) {
      memory.putByte(at++, value);
    }
  }

  private void ints(int... values) {
    for (int value : values) {
      memory.putInt(at, value);
      at += Integer.BYTES;
    }
  }

  private void text(String value) {
    bytes(value.getBytes(StandardCharsets.US_ASCII));
  }
}
