package io.rund.kvm.sys;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A vCPU's descriptor and its mapped struct kvm_run. Belongs to one thread at a time, but for
 * {@link #immediateExit}, which any thread may set while the vCPU is open.
 */
public final class KvmVcpu implements AutoCloseable {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final Fd fd;
  private final int number;
  private final int index;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment run;

  private KvmVcpu(Fd fd, int index, long runAddress, int runSize) {
    this.fd = fd;
    this.number = fd.number();
    this.index = index;
    this.run =
        MemorySegment.ofAddress(runAddress)
            .reinterpret(runSize, arena, segment -> Libc.munmap(runAddress, runSize));
  }

  static KvmVcpu map(Fd fd, int index, int runSize) {
    try {
      long address =
          Libc.mmap(
              0, runSize, Linux.PROT_READ | Linux.PROT_WRITE, Linux.MAP_SHARED, fd.number(), 0);
      return new KvmVcpu(fd, index, address, runSize);
    } catch (LastErrorException e) {
      fd.close();
      throw e;
    }
  }

  public int index() {
    return index;
  }

  /** struct kvm_run, laid out as {@link KvmAbi.Run} says. */
  public MemorySegment runArea() {
    return run;
  }

  /**
   * Runs guest code until something is to be done here (KVM_RUN).
   *
   * @return 0, then {@link KvmAbi.Run#EXIT_REASON} tells why; or the error, of which EINTR (a
   *     signal, or {@link #immediateExit}) and EAGAIN (a vCPU has just been woken) are ordinary
   */
  public int run() {
    return Libc.Try.ioctl(number, KvmAbi.Ioctl.RUN, 0) >= 0 ? 0 : Native.getLastError();
  }

  /** While set, {@link #run} returns EINTR before it enters the guest. */
  public void immediateExit(boolean exit) {
    run.set(ValueLayout.JAVA_BYTE, KvmAbi.Run.IMMEDIATE_EXIT, (byte) (exit ? 1 : 0));
  }

  /**
   * Completes the last exit, whose effect on registers KVM leaves to the next entry (api.rst, 5),
   * without running guest code. The vCPU is paused, with {@link #immediateExit} set.
   *
   * @throws RundException if the vCPU does not come to rest
   */
  public void settle() {
    if (run() != Linux.EINTR) {
      throw RundException.internal(
          "vCPU %d does not come to rest: exit %d"
              .formatted(index, run.get(INT, KvmAbi.Run.EXIT_REASON)),
          null);
    }
  }

  /** What this vCPU's TSC is ahead of the host's (api.rst, KVM_VCPU_TSC_CTRL). */
  long tscOffset() {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment offset = scratch.allocate(LONG);
      tscControl(KvmAbi.Ioctl.GET_DEVICE_ATTR, offset, scratch);
      return offset.get(LONG, 0);
    }
  }

  void tscOffset(long offset) {
    try (Arena scratch = Arena.ofConfined()) {
      tscControl(KvmAbi.Ioctl.SET_DEVICE_ATTR, scratch.allocateFrom(LONG, offset), scratch);
    }
  }

  /** The frequency of this vCPU's TSC; 0 if the host does not know it. */
  int tscKhz() {
    return Math.max(0, Libc.Try.ioctl(number, KvmAbi.Ioctl.GET_TSC_KHZ, 0));
  }

  private void tscControl(long request, MemorySegment offset, Arena scratch) {
    MemorySegment attribute = scratch.allocate(KvmAbi.DeviceAttr.SIZE, Long.BYTES);
    attribute.set(INT, KvmAbi.DeviceAttr.GROUP, KvmAbi.DeviceAttr.VCPU_TSC_CTRL);
    attribute.set(LONG, KvmAbi.DeviceAttr.ATTR, KvmAbi.DeviceAttr.VCPU_TSC_OFFSET);
    attribute.set(LONG, KvmAbi.DeviceAttr.ADDRESS, offset.address());
    int _ = control("TSC offset", request, attribute);
  }

  /** Sets what CPUID answers on this vCPU. */
  public void setCpuid(List<CpuidEntry> entries) {
    try (Arena scratch = Arena.ofConfined()) {
      control("CPUID", KvmAbi.Ioctl.SET_CPUID2, CpuidEntry.write(entries, scratch));
    }
  }

  /** Sets one model-specific register. */
  public void setMsr(int msr, long value) {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment msrs = scratch.allocate(KvmAbi.Msrs.ENTRIES + (long) KvmAbi.Msrs.ENTRY_SIZE, 8);
      msrs.set(INT, KvmAbi.Msrs.COUNT, 1);
      msrs.set(INT, KvmAbi.Msrs.ENTRIES + KvmAbi.Msrs.INDEX, msr);
      msrs.set(LONG, KvmAbi.Msrs.ENTRIES + KvmAbi.Msrs.DATA, value);
      if (control("MSR", KvmAbi.Ioctl.SET_MSRS, msrs) != 1) {
        throw RundException.internal(
            "KVM does not know MSR 0x%x of vCPU %d".formatted(msr, index), null);
      }
    }
  }

  /** struct kvm_regs as it is now. */
  public MemorySegment regs(Arena scratch) {
    MemorySegment regs = scratch.allocate(KvmAbi.Regs.SIZE, 8);
    control("registers", KvmAbi.Ioctl.GET_REGS, regs);
    return regs;
  }

  public void setRegs(MemorySegment regs) {
    control("registers", KvmAbi.Ioctl.SET_REGS, regs);
  }

  /** struct kvm_sregs as it is now. */
  public MemorySegment sregs(Arena scratch) {
    MemorySegment sregs = scratch.allocate(KvmAbi.Sregs.SIZE, 8);
    control("system registers", KvmAbi.Ioctl.GET_SREGS, sregs);
    return sregs;
  }

  public void setSregs(MemorySegment sregs) {
    control("system registers", KvmAbi.Ioctl.SET_SREGS, sregs);
  }

  /** The local APIC's register page as it is now. */
  public MemorySegment lapic(Arena scratch) {
    MemorySegment lapic = scratch.allocate(KvmAbi.Lapic.SIZE, 8);
    control("local APIC", KvmAbi.Ioctl.GET_LAPIC, lapic);
    return lapic;
  }

  public void setLapic(MemorySegment lapic) {
    control("local APIC", KvmAbi.Ioctl.SET_LAPIC, lapic);
  }

  /** Tells the guest's watchdogs that it was paused; does nothing before it uses kvm-clock. */
  public void notePause() {
    Libc.Try.ioctl(number, KvmAbi.Ioctl.KVMCLOCK_CTRL, 0);
  }

  int control(String what, long request, MemorySegment argument) {
    try {
      return Libc.ioctl(fd.number(), request, argument.address());
    } catch (LastErrorException e) {
      throw KvmErrors.of("access %s of vCPU %d (0x%x)".formatted(what, index, request), e);
    }
  }

  @Override
  public void close() {
    if (fd.isOpen()) {
      arena.close();
      fd.close();
    }
  }
}
