package io.rund.kvm.boot;

import io.rund.kvm.sys.CpuidEntry;
import java.util.List;

/**
 * What a guest's CPUID answers: what KVM supports here, without what a sandbox must not have
 * (nested virtualization, performance counters), and with each vCPU a core of its own in one
 * package. Leaves are those of the Intel SDM volume 2 and AMD's APM volume 3.
 */
final class GuestCpuid {
  private static final int LEAF1_ECX_VMX = 1 << 5;
  private static final int LEAF1_ECX_TSC_DEADLINE = 1 << 24;
  private static final int LEAF1_ECX_HYPERVISOR = 1 << 31;
  private static final int LEAF1_EDX_HTT = 1 << 28;
  private static final int LEAF6_EAX_ARAT = 1 << 2;
  private static final int EXT1_ECX_SVM = 1 << 2;
  private static final int EXT1_ECX_PERFCTR_CORE = 1 << 23;
  private static final int EXT1_ECX_PERFCTR_NB = 1 << 24;

  private static final int TOPOLOGY_SMT = 1;
  private static final int TOPOLOGY_CORE = 2;

  private final List<CpuidEntry> supported;
  private final int cpus;
  private final boolean tscDeadline;

  /**
   * @param supported what KVM_GET_SUPPORTED_CPUID said
   * @param tscDeadline whether KVM's local APIC has the TSC-deadline timer; KVM leaves it to us to
   *     announce that one (api.rst, 4.46)
   */
  GuestCpuid(List<CpuidEntry> supported, int cpus, boolean tscDeadline) {
    this.supported = supported;
    this.cpus = cpus;
    this.tscDeadline = tscDeadline;
  }

  /** The table of vCPU {@code cpu}. */
  List<CpuidEntry> forVcpu(int cpu) {
    return supported.stream().map(entry -> adapt(entry, cpu)).toList();
  }

  private CpuidEntry adapt(CpuidEntry e, int cpu) {
    return switch (e.function()) {
      case 0x1 -> {
        int ebx = (e.ebx() & 0xffff) | Math.min(cpus, 0xff) << 16 | cpu << 24;
        int ecx = (e.ecx() & ~(LEAF1_ECX_VMX | LEAF1_ECX_TSC_DEADLINE)) | LEAF1_ECX_HYPERVISOR;
        int edx = cpus > 1 ? e.edx() | LEAF1_EDX_HTT : e.edx() & ~LEAF1_EDX_HTT;
        yield e.with(e.eax(), ebx, tscDeadline ? ecx | LEAF1_ECX_TSC_DEADLINE : ecx, edx);
      }
      // Cores that share a cache: all for the last level, else one; cores in the package.
      case 0x4 -> {
        int sharing = (e.eax() >> 5 & 7) >= 3 ? cpus - 1 : 0;
        int eax = (e.eax() & 0x3fff) | Math.min(sharing, 0xfff) << 14;
        yield (e.eax() & 0x1f) == 0
            ? e
            : e.with(eax | Math.min(cpus - 1, 0x3f) << 26, e.ebx(), e.ecx(), e.edx());
      }
      // The timer of the local APIC runs in every sleep state; it is software.
      case 0x6 -> e.with(e.eax() | LEAF6_EAX_ARAT, e.ebx(), e.ecx(), e.edx());
      case 0xa -> e.with(0, 0, 0, 0);
      case 0xb, 0x1f -> topology(e, cpu);
      case 0x8000_0001 -> {
        int hidden = EXT1_ECX_SVM | EXT1_ECX_PERFCTR_CORE | EXT1_ECX_PERFCTR_NB;
        yield e.with(e.eax(), e.ebx(), e.ecx() & ~hidden, e.edx());
      }
      case 0x8000_0008 ->
          e.with(e.eax(), e.ebx(), (e.ecx() & ~0xf0ff) | idBits() << 12 | (cpus - 1), e.edx());
      case 0x8000_000a -> e.with(0, 0, 0, 0);
      // Extended APIC id; core id with one thread; node 0.
      case 0x8000_001e -> e.with(cpu, cpu & 0xff, 0, 0);
      default -> e;
    };
  }

  private CpuidEntry topology(CpuidEntry e, int cpu) {
    return switch (e.index()) {
      case 0 -> e.with(0, 1, TOPOLOGY_SMT << 8, cpu);
      case 1 -> e.with(idBits(), cpus, TOPOLOGY_CORE << 8 | 1, cpu);
      default -> e.with(0, 0, e.index(), cpu);
    };
  }

  /** How many bits of the APIC id number the cores. */
  private int idBits() {
    return Integer.SIZE - Integer.numberOfLeadingZeros(cpus - 1);
  }
}
