package io.rund.kvm.sys;

import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.IntStream;

/** What KVM keeps of a VM beside its vCPUs: interrupt controllers and kvm-clock. Immutable. */
public final class VmState {
  private final List<byte[]> irqchips;
  private final long clockNanos;

  private VmState(List<byte[]> irqchips, long clockNanos) {
    this.irqchips = irqchips;
    this.clockNanos = clockNanos;
  }

  /** Reads the state of a VM whose vCPUs do not run. */
  public static VmState of(KvmVm vm) {
    try (Arena arena = Arena.ofConfined()) {
      List<byte[]> irqchips =
          IntStream.rangeClosed(KvmAbi.Irqchip.PIC_MASTER, KvmAbi.Irqchip.IOAPIC)
              .mapToObj(id -> irqchip(vm, id, arena))
              .toList();
      MemorySegment clock = arena.allocate(KvmAbi.Clock.SIZE, Long.BYTES);
      vm.control("clock", KvmAbi.Ioctl.GET_CLOCK, clock);
      return new VmState(irqchips, clock.get(ValueLayout.JAVA_LONG, KvmAbi.Clock.NANOS));
    }
  }

  /** Writes what {@link #read} reads. */
  public void write(SnapshotWriter out) {
    irqchips.forEach(out::bytes);
    out.int64(clockNanos);
  }

  /** Whether KVM takes it is seen when it is set. */
  public static VmState read(SnapshotReader in) {
    List<byte[]> irqchips =
        IntStream.rangeClosed(KvmAbi.Irqchip.PIC_MASTER, KvmAbi.Irqchip.IOAPIC)
            .mapToObj(id -> in.bytes("interrupt controller " + id, KvmAbi.Irqchip.SIZE))
            .toList();
    return new VmState(irqchips, in.int64("the clock"));
  }

  private static byte[] irqchip(KvmVm vm, int id, Arena arena) {
    MemorySegment struct = arena.allocate(KvmAbi.Irqchip.SIZE, Long.BYTES);
    struct.set(ValueLayout.JAVA_INT, KvmAbi.Irqchip.ID, id);
    vm.control("interrupt controller " + id, KvmAbi.Ioctl.GET_IRQCHIP, struct);
    return struct.toArray(ValueLayout.JAVA_BYTE);
  }

  /**
   * Gives {@code vm} this state, its clock going on where it was. Its vCPUs must have theirs
   * already: an interrupt that waits in the IOAPIC is delivered to them.
   */
  public void restore(KvmVm vm) {
    try (Arena arena = Arena.ofConfined()) {
      for (byte[] irqchip : irqchips) {
        MemorySegment struct = arena.allocate(KvmAbi.Irqchip.SIZE, Long.BYTES);
        struct.copyFrom(MemorySegment.ofArray(irqchip));
        vm.control("interrupt controllers", KvmAbi.Ioctl.SET_IRQCHIP, struct);
      }
    }
    vm.setClock(clockNanos);
  }
}
