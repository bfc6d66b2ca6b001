package io.rund.kvm.boot;

/** Where things lie in guest-physical memory when the kernel starts. Addresses in bytes. */
final class Layout {
  private Layout() {}

  static final long GDT = 0x500;
  static final long BOOT_PARAMS = 0x7000;
  static final long STACK_TOP = 0x8ff0;

  /** Three pages: PML4, PDPT, page directory. */
  static final long PAGE_TABLES = 0x9000;

  static final long COMMAND_LINE = 0x2_0000;

  /** x86's COMMAND_LINE_SIZE (arch/x86/include/asm/setup.h), with the final zero. */
  static final int COMMAND_LINE_SIZE = 2048;

  /** Conventional memory ends where a PC's extended BIOS data area begins. */
  static final long LOW_RAM_END = 0x9_fc00;

  /** The BIOS area, which kernels search for the MP floating pointer (MP spec 1.4, 4). */
  static final long MP_TABLE = 0xf_0000;

  static final int MP_TABLE_LIMIT = 0x1_0000;

  /** What lies above is the kernel's. */
  static final long HIGH_RAM_START = 0x10_0000;

  /** How much the first page tables map; kernel and boot data must lie below. */
  static final long IDENTITY_MAPPED = 1L << 30;

  /** Local APIC and IOAPIC, where a PC has them and KVM's irqchip too. */
  static final long LOCAL_APIC = 0xfee0_0000L;

  static final long IO_APIC = 0xfec0_0000L;

  /** Pages for KVM on Intel, see KvmVm.reserveRealModePages: below 4 GiB, away from devices. */
  static final long REAL_MODE_TSS = 0xfffb_d000L;

  static final long REAL_MODE_IDENTITY_MAP = 0xfffb_c000L;
}
