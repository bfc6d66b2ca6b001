package io.rund.kvm.boot;

import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmVcpu;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The state in which Linux's 64-bit entry point wants the first CPU
 * (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"): long mode, flat segments, the first
 * GiB mapped to itself, interrupts off, RSI at the zero page. Bits are those of the Intel SDM,
 * volume 3.
 */
final class LongMode {
  private static final int BOOT_CS = 0x10;
  private static final int BOOT_DS = 0x18;
  private static final int BOOT_TR = 0x20;
  private static final int GDT_ENTRIES = 5;

  /** Segment types: execute/read accessed, read/write accessed, busy TSS. */
  private static final int TYPE_CODE = 0xb;

  private static final int TYPE_DATA = 0x3;
  private static final int TYPE_TSS = 0xb;

  private static final long CR0_PE_ET_NE_WP_PG = 0x8001_0031L;
  private static final long CR4_PAE = 0x20;
  private static final long EFER_LME_LMA = 0x500;
  private static final long RFLAGS_RESERVED = 0x2;

  private static final long PAGE_TABLE = 0x3; // present, writable
  private static final long PAGE_2M = 0x83; // present, writable, large
  private static final int LARGE_PAGE_SHIFT = 21;
  private static final int TABLE_ENTRIES = 512;

  private LongMode() {}

  /** Writes the page tables and the GDT. */
  static void writeTables(GuestMemory memory) {
    long pml4 = Layout.PAGE_TABLES;
    long pdpt = pml4 + GuestMemory.PAGE_SIZE;
    long directory = pdpt + GuestMemory.PAGE_SIZE;
    memory.putLong(pml4, pdpt | PAGE_TABLE);
    memory.putLong(pdpt, directory | PAGE_TABLE);
    for (long i = 0; i < TABLE_ENTRIES; i++) {
      memory.putLong(directory + i * Long.BYTES, i << LARGE_PAGE_SHIFT | PAGE_2M);
    }
    memory.putLong(Layout.GDT + BOOT_CS, 0x00af_9b00_0000_ffffL);
    memory.putLong(Layout.GDT + BOOT_DS, 0x00cf_9300_0000_ffffL);
    memory.putLong(Layout.GDT + BOOT_TR, 0x008f_8b00_0000_ffffL);
  }

  /** Sets the first vCPU's registers. */
  static void enter(KvmVcpu vcpu, long entry) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sregs = vcpu.sregs(arena);
      segment(sregs, KvmAbi.Sregs.CS, BOOT_CS, TYPE_CODE, true);
      segment(sregs, KvmAbi.Sregs.DS, BOOT_DS, TYPE_DATA, false);
      segment(sregs, KvmAbi.Sregs.ES, BOOT_DS, TYPE_DATA, false);
      segment(sregs, KvmAbi.Sregs.FS, BOOT_DS, TYPE_DATA, false);
      segment(sregs, KvmAbi.Sregs.GS, BOOT_DS, TYPE_DATA, false);
      segment(sregs, KvmAbi.Sregs.SS, BOOT_DS, TYPE_DATA, false);
      segment(sregs, KvmAbi.Sregs.TR, BOOT_TR, TYPE_TSS, false);
      setByte(sregs, KvmAbi.Sregs.TR + KvmAbi.Segment.S, 0);
      setLong(sregs, KvmAbi.Sregs.GDT + KvmAbi.DescriptorTable.BASE, Layout.GDT);
      setShort(
          sregs, KvmAbi.Sregs.GDT + KvmAbi.DescriptorTable.LIMIT, GDT_ENTRIES * Long.BYTES - 1);
      setLong(sregs, KvmAbi.Sregs.CR0, CR0_PE_ET_NE_WP_PG);
      setLong(sregs, KvmAbi.Sregs.CR3, Layout.PAGE_TABLES);
      setLong(sregs, KvmAbi.Sregs.CR4, CR4_PAE);
      setLong(sregs, KvmAbi.Sregs.EFER, EFER_LME_LMA);
      vcpu.setSregs(sregs);

      MemorySegment regs = arena.allocate(KvmAbi.Regs.SIZE, 8);
      setLong(regs, KvmAbi.Regs.RIP, entry);
      setLong(regs, KvmAbi.Regs.RSP, Layout.STACK_TOP);
      setLong(regs, KvmAbi.Regs.RSI, Layout.BOOT_PARAMS);
      setLong(regs, KvmAbi.Regs.RFLAGS, RFLAGS_RESERVED);
      vcpu.setRegs(regs);
    }
  }

  /** A flat, present, ring-0 segment. */
  private static void segment(
      MemorySegment sregs, int at, int selector, int type, boolean longMode) {
    setLong(sregs, at + KvmAbi.Segment.BASE, 0);
    sregs.set(ValueLayout.JAVA_INT, at + (long) KvmAbi.Segment.LIMIT, -1);
    setShort(sregs, at + KvmAbi.Segment.SELECTOR, selector);
    setByte(sregs, at + KvmAbi.Segment.TYPE, type);
    setByte(sregs, at + KvmAbi.Segment.PRESENT, 1);
    setByte(sregs, at + KvmAbi.Segment.DPL, 0);
    setByte(sregs, at + KvmAbi.Segment.DB, longMode ? 0 : 1);
    setByte(sregs, at + KvmAbi.Segment.S, 1);
    setByte(sregs, at + KvmAbi.Segment.L, longMode ? 1 : 0);
    setByte(sregs, at + KvmAbi.Segment.G, 1);
    setByte(sregs, at + KvmAbi.Segment.UNUSABLE, 0);
  }

  private static void setByte(MemorySegment struct, int at, int value) {
    struct.set(ValueLayout.JAVA_BYTE, at, (byte) value);
  }

  private static void setShort(MemorySegment struct, int at, int value) {
    struct.set(ValueLayout.JAVA_SHORT, at, (short) value);
  }

  private static void setLong(MemorySegment struct, int at, long value) {
    struct.set(ValueLayout.JAVA_LONG, at, value);
  }
}
