package io.rund.kvm.boot;

import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/**
 * The "zero page" that Linux's 64-bit boot protocol passes in RSI, and the command line that it
 * points to (Documentation/arch/x86/boot.rst and zero-page.rst; offsets of struct boot_params).
 */
final class BootParams {
  private static final int E820_COUNT = 0x1e8;
  private static final int BOOT_FLAG = 0x1fe;
  private static final int HEADER_MAGIC = 0x202;
  private static final int LOADER_TYPE = 0x210;
  private static final int LOAD_FLAGS = 0x211;
  private static final int RAMDISK_ADDRESS = 0x218;
  private static final int RAMDISK_SIZE = 0x21c;
  private static final int COMMAND_LINE_ADDRESS = 0x228;
  private static final int KERNEL_ALIGNMENT = 0x230;
  private static final int COMMAND_LINE_LENGTH = 0x238;
  private static final int E820_TABLE = 0x2d0;

  private static final int E820_ENTRY_SIZE = 20;
  private static final int E820_RAM = 1;
  private static final int E820_RESERVED = 2;

  private static final short BOOT_FLAG_VALUE = (short) 0xaa55;
  private static final int HEADER_MAGIC_VALUE = 0x53726448; // "HdrS"
  private static final byte LOADER_UNDEFINED = (byte) 0xff;
  private static final byte LOADED_HIGH = 1;
  private static final int KERNEL_ALIGNMENT_VALUE = 0x20_0000;

  private final GuestMemory memory;
  private int e820Entries;

  private BootParams(GuestMemory memory) {
    this.memory = memory;
  }

  /**
   * @throws RundException INVALID_ARGUMENT if the command line is longer than Linux takes
   */
  static void write(GuestMemory memory, String commandLine, Initramfs initramfs) {
    new BootParams(memory).write(commandLine, initramfs);
  }

  private void write(String commandLine, Initramfs initramfs) {
    putShort(BOOT_FLAG, BOOT_FLAG_VALUE);
    putInt(HEADER_MAGIC, HEADER_MAGIC_VALUE);
    putByte(LOADER_TYPE, LOADER_UNDEFINED);
    putByte(LOAD_FLAGS, LOADED_HIGH);
    putInt(KERNEL_ALIGNMENT, KERNEL_ALIGNMENT_VALUE);
    putInt(RAMDISK_ADDRESS, (int) initramfs.address());
    putInt(RAMDISK_SIZE, Math.toIntExact(initramfs.size()));
    putInt(COMMAND_LINE_ADDRESS, (int) Layout.COMMAND_LINE);
    putInt(COMMAND_LINE_LENGTH, Layout.COMMAND_LINE_SIZE - 1);
    writeCommandLine(commandLine);
    e820(0, Layout.LOW_RAM_END, E820_RAM);
    e820(Layout.LOW_RAM_END, Layout.HIGH_RAM_START, E820_RESERVED);
    for (GuestMemory.Region region : memory.regions()) {
      long start = Math.max(region.address(), Layout.HIGH_RAM_START);
      e820(start, region.address() + region.length(), E820_RAM);
    }
  }

  private void writeCommandLine(String commandLine) {
    byte[] bytes = commandLine.getBytes(StandardCharsets.UTF_8);
    if (bytes.length >= Layout.COMMAND_LINE_SIZE) {
      throw RundException.invalid(
          "kernel command line of %d bytes, Linux takes %d; use fewer slots or arguments: %s"
              .formatted(bytes.length, Layout.COMMAND_LINE_SIZE - 1, commandLine));
    }
    memory.slice(Layout.COMMAND_LINE, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
  }

  private void e820(long start, long end, int type) {
    int at = E820_TABLE + e820Entries++ * E820_ENTRY_SIZE;
    memory.putLong(Layout.BOOT_PARAMS + at, start);
    memory.putLong(Layout.BOOT_PARAMS + at + 8, end - start);
    putInt(at + 16, type);
    putByte(E820_COUNT, (byte) e820Entries);
  }

  private void putByte(int offset, byte value) {
    memory.putByte(Layout.BOOT_PARAMS + offset, value);
  }

  private void putShort(int offset, short value) {
    memory.putShort(Layout.BOOT_PARAMS + offset, value);
  }

  private void putInt(int offset, int value) {
    memory.putInt(Layout.BOOT_PARAMS + offset, value);
  }
}
