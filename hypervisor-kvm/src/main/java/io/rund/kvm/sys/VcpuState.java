package io.rund.kvm.sys;

import io.rund.core.error.RundException;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * All that KVM keeps of one vCPU between two entries into the guest, so that another one can go on
 * where it stood. Immutable.
 *
 * <p>The TSC is not among the MSRs: a written TSC within a second of what KVM expects is taken for
 * an attempt to synchronise CPUs and ignored (kvm_synchronize_tsc in arch/x86/kvm/x86.c), and a
 * guest that boots fast is always within it. Its offset to the host's TSC is set instead.
 */
public final class VcpuState {
  /** In the order in which they are set: the local APIC's mode is in the system registers. */
  private enum Part {
    MP_STATE(KvmAbi.Ioctl.GET_MP_STATE, KvmAbi.Ioctl.SET_MP_STATE, KvmAbi.MpState.SIZE),
    REGS(KvmAbi.Ioctl.GET_REGS, KvmAbi.Ioctl.SET_REGS, KvmAbi.Regs.SIZE),
    SREGS(KvmAbi.Ioctl.GET_SREGS, KvmAbi.Ioctl.SET_SREGS, KvmAbi.Sregs.SIZE),
    XSAVE(KvmAbi.Ioctl.GET_XSAVE, KvmAbi.Ioctl.SET_XSAVE, KvmAbi.State.XSAVE_SIZE),
    XCRS(KvmAbi.Ioctl.GET_XCRS, KvmAbi.Ioctl.SET_XCRS, KvmAbi.State.XCRS_SIZE),
    DEBUGREGS(KvmAbi.Ioctl.GET_DEBUGREGS, KvmAbi.Ioctl.SET_DEBUGREGS, KvmAbi.State.DEBUGREGS_SIZE),
    LAPIC(KvmAbi.Ioctl.GET_LAPIC, KvmAbi.Ioctl.SET_LAPIC, KvmAbi.Lapic.SIZE),
    EVENTS(
        KvmAbi.Ioctl.GET_VCPU_EVENTS, KvmAbi.Ioctl.SET_VCPU_EVENTS, KvmAbi.State.VCPU_EVENTS_SIZE);

    final long get;
    final long set;
    final int size;

    Part(long get, long set, int size) {
      this.get = get;
      this.set = set;
      this.size = size;
    }
  }

  private final Map<Part, byte[]> parts;
  private final List<Msrs.Msr> msrs;
  private final long tsc;
  private final long tscOffset;
  private final int tscKhz;

  private VcpuState(
      Map<Part, byte[]> parts, List<Msrs.Msr> msrs, long tsc, long tscOffset, int tscKhz) {
    this.parts = parts;
    this.msrs = msrs;
    this.tsc = tsc;
    this.tscOffset = tscOffset;
    this.tscKhz = tscKhz;
  }

  /**
   * Reads the state of a vCPU that does not run and has completed its last exit ({@link
   * KvmVcpu#settle}).
   */
  public static VcpuState of(KvmVcpu vcpu, KvmSystem system) {
    Map<Part, byte[]> parts = new EnumMap<>(Part.class);
    try (Arena arena = Arena.ofConfined()) {
      for (Part part : Part.values()) {
        if (part == Part.XCRS && system.extension(KvmAbi.Cap.XCRS) == 0) {
          continue; // A CPU without XSAVE, which has no such registers.
        }
        MemorySegment struct = arena.allocate(part.size, Long.BYTES);
        int _ = vcpu.control(part.name(), part.get, struct);
        parts.put(part, struct.toArray(ValueLayout.JAVA_BYTE));
      }
      return new VcpuState(
          parts,
          Msrs.read(vcpu, system.msrIndices()),
          Msrs.tsc(vcpu),
          vcpu.tscOffset(),
          vcpu.tscKhz());
    }
  }

  /** Writes what {@link #read} reads. */
  public void write(SnapshotWriter out) {
    for (Part part : Part.values()) {
      out.optional(Optional.ofNullable(parts.get(part)), (bytes, to) -> to.bytes(bytes));
    }
    out.list(msrs, Msrs.Msr::write);
    out.int64(tsc);
    out.int64(tscOffset);
    out.int32(tscKhz);
  }

  /** Whether KVM takes it is seen when it is set. */
  public static VcpuState read(SnapshotReader in) {
    Map<Part, byte[]> parts = new EnumMap<>(Part.class);
    for (Part part : Part.values()) {
      Optional<byte[]> bytes = in.optional(part.name(), from -> from.bytes(part.name(), part.size));
      bytes.ifPresent(present -> parts.put(part, present));
      if (bytes.isEmpty() && part != Part.XCRS) {
        throw SnapshotReader.damaged("a vCPU has no " + part);
      }
    }
    return new VcpuState(
        parts,
        in.list("MSRs", KvmSystem.MAX_MSRS, Msrs.Msr.SIZE, Msrs.Msr::read),
        in.int64("the TSC"),
        in.int64("the offset of the TSC"),
        in.int32("the frequency of the TSC", 0, Integer.MAX_VALUE));
  }

  /** Whether the guest had nothing to do on this vCPU: it waited for an interrupt or to begin. */
  public boolean isIdle() {
    int state =
        MemorySegment.ofArray(parts.get(Part.MP_STATE)).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
    return state == KvmAbi.MpState.HALTED || state == KvmAbi.MpState.UNINITIALIZED;
  }

  /**
   * By how much offsets of TSCs have to change, so that {@code vcpu} shows the TSC that this one
   * showed. The same for all vCPUs of a VM, whose TSCs stay in step.
   */
  public long tscShift(KvmVcpu vcpu) {
    return vcpu.tscOffset() + tsc - Msrs.tsc(vcpu) - tscOffset;
  }

  /**
   * Gives {@code vcpu}, which has its CPUID and has not run, this state.
   *
   * @param tscShift of the VM's first vCPU
   * @throws RundException if KVM refuses a part, or this host's TSC is of another frequency; the
   *     vCPU is then of no use
   */
  public void restore(KvmVcpu vcpu, long tscShift) {
    if (vcpu.tscKhz() != tscKhz) {
      throw RundException.precondition(
          "the guest's clock was set by a TSC of %d kHz, that of this host has %d"
              .formatted(tscKhz, vcpu.tscKhz()));
    }
    try (Arena arena = Arena.ofConfined()) {
      for (Map.Entry<Part, byte[]> part : parts.entrySet()) {
        if (part.getKey() == Part.EVENTS) {
          // The timer of the local APIC is an MSR that is compared with the TSC.
          vcpu.tscOffset(tscOffset + tscShift);
          Msrs.write(vcpu, msrs);
        }
        MemorySegment struct = arena.allocate(part.getKey().size, Long.BYTES);
        struct.copyFrom(MemorySegment.ofArray(part.getValue()));
        int _ = vcpu.control(part.getKey().name(), part.getKey().set, struct);
      }
    }
  }
}
