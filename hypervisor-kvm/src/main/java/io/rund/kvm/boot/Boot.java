package io.rund.kvm.boot;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.sys.CpuidEntry;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import java.util.List;

/** Readies a VM for its first instruction, the way Linux's 64-bit boot protocol wants it. */
public final class Boot {
  /** The most vCPUs that this machine model can describe to a kernel. */
  public static final int MAX_VCPUS = MpTable.MAX_CPUS;

  private static final int MSR_MISC_ENABLE = 0x1a0;
  private static final long FAST_STRINGS = 1;

  /** MTRRs on, write-back unless told otherwise: what firmware sets and Linux checks. */
  private static final int MSR_MTRR_DEFAULT_TYPE = 0x2ff;

  private static final long MTRR_ON_WRITE_BACK = 0x806;

  private final List<CpuidEntry> supportedCpuid;
  private final boolean tscDeadline;

  /**
   * @param supportedCpuid of this host
   * @param tscDeadline whether KVM_CAP_TSC_DEADLINE_TIMER is there
   */
  public Boot(List<CpuidEntry> supportedCpuid, boolean tscDeadline) {
    this.supportedCpuid = List.copyOf(supportedCpuid);
    this.tscDeadline = tscDeadline;
  }

  /** Interrupt controllers and reserved pages; before the first vCPU. */
  public static void prepare(KvmVm vm) {
    vm.reserveRealModePages(Layout.REAL_MODE_TSS, Layout.REAL_MODE_IDENTITY_MAP);
    vm.createIrqchip();
  }

  /**
   * Fills the guest's memory and sets the vCPUs' registers.
   *
   * @param vcpus 1 to {@link #MAX_VCPUS}
   * @param irqs for each device window in order, its interrupt
   * @throws RundException INVALID_ARGUMENT for a kernel or initramfs that is none or does not fit
   */
  public void load(VmConfig config, GuestMemory memory, List<KvmVcpu> vcpus, List<Integer> irqs) {
    KernelImage kernel = KernelImage.load(config.kernel(), memory);
    Initramfs initramfs = Initramfs.load(config.initramfs(), memory, kernel.end());
    BootParams.write(memory, commandLine(config, irqs), initramfs);
    GuestCpuid cpuid = new GuestCpuid(supportedCpuid, vcpus.size(), tscDeadline);
    writeMpTable(memory, cpuid, vcpus.size());
    LongMode.writeTables(memory);
    for (KvmVcpu vcpu : vcpus) {
      vcpu.setCpuid(cpuid.forVcpu(vcpu.index()));
      vcpu.setMsr(MSR_MISC_ENABLE, FAST_STRINGS);
      vcpu.setMsr(MSR_MTRR_DEFAULT_TYPE, MTRR_ON_WRITE_BACK);
      LocalApic.wire(vcpu);
    }
    LongMode.enter(vcpus.getFirst(), kernel.entry());
  }

  /** What a guest's kernel is told, about its devices too. */
  public static String commandLine(VmConfig config, List<Integer> irqs) {
    return CommandLine.of(irqs, config.console().isPresent(), config.extraCommandLine());
  }

  /** What CPUID answers on the first vCPU of a guest; the others differ by their number alone. */
  public List<CpuidEntry> cpuid(int vcpus) {
    return new GuestCpuid(supportedCpuid, vcpus, tscDeadline).forVcpu(0);
  }

  /** What a clone's vCPUs need before they take over another's state: the answers of CPUID. */
  public void identify(List<KvmVcpu> vcpus) {
    GuestCpuid cpuid = new GuestCpuid(supportedCpuid, vcpus.size(), tscDeadline);
    vcpus.forEach(vcpu -> vcpu.setCpuid(cpuid.forVcpu(vcpu.index())));
  }

  private static void writeMpTable(GuestMemory memory, GuestCpuid cpuid, int cpus) {
    CpuidEntry features =
        cpuid.forVcpu(0).stream()
            .filter(entry -> entry.function() == 1)
            .findFirst()
            .orElseThrow(() -> RundException.internal("KVM offers no CPUID leaf 1", null));
    MpTable.write(memory, cpus, features.eax(), features.edx());
  }
}
