package io.rund.kvm.sys;

/**
 * Numbers and struct layouts of {@code <linux/kvm.h>} on x86-64: the one place that knows them.
 * {@code native/kvm-offsets} prints the compiler's view of each; a test compares all.
 *
 * <p>Layout constants are byte offsets unless they are called SIZE or FLAG.
 */
public final class KvmAbi {
  private KvmAbi() {}

  /** Request numbers. */
  public static final class Ioctl {
    private Ioctl() {}

    public static final long GET_API_VERSION = 0xae00L;
    public static final long CREATE_VM = 0xae01L;
    public static final long GET_MSR_INDEX_LIST = 0xc004ae02L;
    public static final long CHECK_EXTENSION = 0xae03L;
    public static final long GET_VCPU_MMAP_SIZE = 0xae04L;
    public static final long GET_SUPPORTED_CPUID = 0xc008ae05L;
    public static final long CREATE_VCPU = 0xae41L;
    public static final long SET_USER_MEMORY_REGION = 0x4020ae46L;
    public static final long SET_TSS_ADDR = 0xae47L;
    public static final long SET_IDENTITY_MAP_ADDR = 0x4008ae48L;
    public static final long CREATE_IRQCHIP = 0xae60L;
    public static final long GET_IRQCHIP = 0xc208ae62L;
    public static final long SET_IRQCHIP = 0x8208ae63L;
    public static final long IRQFD = 0x4020ae76L;
    public static final long IOEVENTFD = 0x4040ae79L;
    public static final long SET_CLOCK = 0x4030ae7bL;
    public static final long GET_CLOCK = 0x8030ae7cL;
    public static final long RUN = 0xae80L;
    public static final long GET_REGS = 0x8090ae81L;
    public static final long SET_REGS = 0x4090ae82L;
    public static final long GET_SREGS = 0x8138ae83L;
    public static final long SET_SREGS = 0x4138ae84L;
    public static final long GET_MSRS = 0xc008ae88L;
    public static final long SET_MSRS = 0x4008ae89L;
    public static final long GET_LAPIC = 0x8400ae8eL;
    public static final long SET_LAPIC = 0x4400ae8fL;
    public static final long SET_CPUID2 = 0x4008ae90L;
    public static final long GET_MP_STATE = 0x8004ae98L;
    public static final long SET_MP_STATE = 0x4004ae99L;
    public static final long GET_VCPU_EVENTS = 0x8040ae9fL;
    public static final long SET_VCPU_EVENTS = 0x4040aea0L;
    public static final long GET_DEBUGREGS = 0x8080aea1L;
    public static final long SET_DEBUGREGS = 0x4080aea2L;
    public static final long GET_TSC_KHZ = 0xaea3L;
    public static final long GET_XSAVE = 0x9000aea4L;
    public static final long SET_XSAVE = 0x5000aea5L;
    public static final long GET_XCRS = 0x8188aea6L;
    public static final long SET_XCRS = 0x4188aea7L;
    public static final long KVMCLOCK_CTRL = 0xaeadL;
    public static final long SET_DEVICE_ATTR = 0x4018aee1L;
    public static final long GET_DEVICE_ATTR = 0x4018aee2L;
  }

  /** Capabilities. */
  public static final class Cap {
    private Cap() {}

    public static final int IRQCHIP = 0;
    public static final int USER_MEMORY = 3;
    public static final int SET_TSS_ADDR = 4;
    public static final int EXT_CPUID = 7;
    public static final int IRQFD = 32;
    public static final int IOEVENTFD = 36;
    public static final int SET_IDENTITY_MAP_ADDR = 37;
    public static final int XSAVE = 55;
    public static final int XCRS = 56;
    public static final int MAX_VCPUS = 66;
    public static final int TSC_DEADLINE_TIMER = 72;
    public static final int VCPU_ATTRIBUTES = 127;
    public static final int IMMEDIATE_EXIT = 136;
  }

  /** Values of {@link Run#EXIT_REASON}. */
  public static final class Exit {
    private Exit() {}

    public static final int UNKNOWN = 0;
    public static final int IO = 2;
    public static final int MMIO = 6;
    public static final int SHUTDOWN = 8;
    public static final int FAIL_ENTRY = 9;
    public static final int INTR = 10;
    public static final int INTERNAL_ERROR = 17;
    public static final int SYSTEM_EVENT = 24;
  }

  /** struct kvm_run, mapped from the vCPU's descriptor. */
  public static final class Run {
    private Run() {}

    public static final int IMMEDIATE_EXIT = 1;
    public static final int EXIT_REASON = 8;
    public static final int IO_DIRECTION = 32;
    public static final int IO_SIZE = 33;
    public static final int IO_PORT = 34;
    public static final int IO_COUNT = 36;
    public static final int IO_DATA_OFFSET = 40;
    public static final int MMIO_ADDRESS = 32;
    public static final int MMIO_DATA = 40;
    public static final int MMIO_LENGTH = 48;
    public static final int MMIO_IS_WRITE = 52;
    public static final int FAIL_ENTRY_REASON = 32;
    public static final int INTERNAL_SUBERROR = 32;
    public static final int SYSTEM_EVENT_TYPE = 32;
    public static final int IO_OUT = 1;
  }

  /** struct kvm_regs: 64-bit each. */
  public static final class Regs {
    private Regs() {}

    public static final int SIZE = 144;
    public static final int RAX = 0;
    public static final int RBX = 8;
    public static final int RCX = 16;
    public static final int RDX = 24;
    public static final int RSI = 32;
    public static final int RDI = 40;
    public static final int RSP = 48;
    public static final int RBP = 56;
    public static final int R8 = 64;
    public static final int R9 = 72;
    public static final int R10 = 80;
    public static final int R11 = 88;
    public static final int R12 = 96;
    public static final int R13 = 104;
    public static final int R14 = 112;
    public static final int R15 = 120;
    public static final int RIP = 128;
    public static final int RFLAGS = 136;
  }

  /** struct kvm_sregs. */
  public static final class Sregs {
    private Sregs() {}

    public static final int SIZE = 312;
    public static final int CS = 0;
    public static final int DS = 24;
    public static final int ES = 48;
    public static final int FS = 72;
    public static final int GS = 96;
    public static final int SS = 120;
    public static final int TR = 144;
    public static final int LDT = 168;
    public static final int GDT = 192;
    public static final int IDT = 208;
    public static final int CR0 = 224;
    public static final int CR2 = 232;
    public static final int CR3 = 240;
    public static final int CR4 = 248;
    public static final int EFER = 264;
    public static final int APIC_BASE = 272;
  }

  /** struct kvm_segment, in {@link Sregs}. */
  public static final class Segment {
    private Segment() {}

    public static final int SIZE = 24;
    public static final int BASE = 0;
    public static final int LIMIT = 8;
    public static final int SELECTOR = 12;
    public static final int TYPE = 14;
    public static final int PRESENT = 15;
    public static final int DPL = 16;
    public static final int DB = 17;
    public static final int S = 18;
    public static final int L = 19;
    public static final int G = 20;
    public static final int UNUSABLE = 22;
  }

  /** struct kvm_dtable, in {@link Sregs}. */
  public static final class DescriptorTable {
    private DescriptorTable() {}

    public static final int BASE = 0;
    public static final int LIMIT = 8;
  }

  /** struct kvm_userspace_memory_region. */
  public static final class MemoryRegion {
    private MemoryRegion() {}

    public static final int SIZE = 32;
    public static final int SLOT = 0;
    public static final int FLAGS = 4;
    public static final int GUEST_ADDRESS = 8;
    public static final int BYTES = 16;
    public static final int HOST_ADDRESS = 24;
  }

  /** struct kvm_irqfd. */
  public static final class Irqfd {
    private Irqfd() {}

    public static final int SIZE = 32;
    public static final int FD = 0;
    public static final int GSI = 4;
  }

  /** struct kvm_ioeventfd. */
  public static final class Ioeventfd {
    private Ioeventfd() {}

    public static final int SIZE = 64;
    public static final int DATAMATCH = 0;
    public static final int ADDRESS = 8;
    public static final int LENGTH = 16;
    public static final int FD = 20;
    public static final int FLAGS = 24;
    public static final int FLAG_DATAMATCH = 1;
    public static final int FLAG_DEASSIGN = 4;
  }

  /** struct kvm_cpuid2 and its entries. */
  public static final class Cpuid {
    private Cpuid() {}

    public static final int COUNT = 0;
    public static final int ENTRIES = 8;
    public static final int ENTRY_SIZE = 40;
    public static final int FUNCTION = 0;
    public static final int INDEX = 4;
    public static final int FLAGS = 8;
    public static final int EAX = 12;
    public static final int EBX = 16;
    public static final int ECX = 20;
    public static final int EDX = 24;
    public static final int FLAG_SIGNIFICANT_INDEX = 1;
  }

  /** struct kvm_msrs and its entries. */
  public static final class Msrs {
    private Msrs() {}

    public static final int COUNT = 0;
    public static final int ENTRIES = 8;
    public static final int ENTRY_SIZE = 16;
    public static final int INDEX = 0;
    public static final int DATA = 8;
  }

  /** struct kvm_lapic_state: the local APIC's register page. */
  public static final class Lapic {
    private Lapic() {}

    public static final int SIZE = 1024;
  }

  /** struct kvm_irqchip: one of the three interrupt controllers, and their numbers. */
  public static final class Irqchip {
    private Irqchip() {}

    public static final int SIZE = 520;
    public static final int ID = 0;
    public static final int PIC_MASTER = 0;
    public static final int PIC_SLAVE = 1;
    public static final int IOAPIC = 2;
  }

  /** struct kvm_clock_data. */
  public static final class Clock {
    private Clock() {}

    public static final int SIZE = 48;
    public static final int NANOS = 0;
    public static final int FLAGS = 8;
  }

  /** struct kvm_device_attr, and the attribute of a vCPU that is its TSC's offset to the host's. */
  public static final class DeviceAttr {
    private DeviceAttr() {}

    public static final int SIZE = 24;
    public static final int GROUP = 4;
    public static final int ATTR = 8;
    public static final int ADDRESS = 16;
    public static final int VCPU_TSC_CTRL = 0;
    public static final int VCPU_TSC_OFFSET = 0;
  }

  /** struct kvm_mp_state, and the states of a vCPU that has nothing to do. */
  public static final class MpState {
    private MpState() {}

    public static final int SIZE = 4;
    public static final int UNINITIALIZED = 1;
    public static final int HALTED = 3;
  }

  /** Sizes of the other structs in which KVM gives and takes a vCPU's state. */
  public static final class State {
    private State() {}

    public static final int VCPU_EVENTS_SIZE = 64;
    public static final int DEBUGREGS_SIZE = 128;
    public static final int XSAVE_SIZE = 4096;
    public static final int XCRS_SIZE = 392;
  }
}
