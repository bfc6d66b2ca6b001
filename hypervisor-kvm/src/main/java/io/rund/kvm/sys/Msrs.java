package io.rund.kvm.sys;

import io.rund.core.error.RundException;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Model-specific registers of a vCPU, many at once (api.rst, KVM_GET_MSRS and KVM_SET_MSRS). */
final class Msrs {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  /** KVM takes fewer than 256 in one call (MAX_IO_MSRS). */
  private static final int BATCH = 255;

  private static final int TSC = 0x10;

  /** Means something only once the local APIC and the TSC are as they were. */
  private static final int TSC_DEADLINE = 0x6e0;

  /** One register and its value. */
  record Msr(int index, long value) {
    /** In a snapshot, in bytes. */
    static final int SIZE = Integer.BYTES + Long.BYTES;

    static void write(Msr msr, SnapshotWriter out) {
      out.int32(msr.index);
      out.int64(msr.value);
    }

    static Msr read(SnapshotReader in) {
      return new Msr(in.int32("an MSR"), in.int64("an MSR"));
    }
  }

  private Msrs() {}

  /**
   * What is to be saved of a vCPU: what KVM lists, and the MTRRs, which it has and does not list
   * (variable, fixed and default type: Intel SDM volume 3, 12.11); but not the TSC.
   */
  static int[] toSave(IntStream listed) {
    IntStream mtrrs =
        IntStream.concat(
            IntStream.concat(IntStream.range(0x200, 0x210), IntStream.rangeClosed(0x268, 0x26f)),
            IntStream.of(0x250, 0x258, 0x259, 0x2ff));
    return IntStream.concat(
            IntStream.concat(listed, mtrrs).filter(msr -> msr != TSC && msr != TSC_DEADLINE),
            IntStream.of(TSC_DEADLINE))
        .toArray();
  }

  /** The guest's TSC now. */
  static long tsc(KvmVcpu vcpu) {
    return read(vcpu, new int[] {TSC}).getFirst().value();
  }

  /** The registers of {@code indices} that the vCPU has. */
  static List<Msr> read(KvmVcpu vcpu, int[] indices) {
    List<Msr> read = new ArrayList<>();
    for (int from = 0; from < indices.length; ) {
      int count = Math.min(indices.length - from, BATCH);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment table = table(arena, count);
        for (int i = 0; i < count; i++) {
          table.set(INT, entry(i) + KvmAbi.Msrs.INDEX, indices[from + i]);
        }
        int done = vcpu.control("MSRs", KvmAbi.Ioctl.GET_MSRS, table);
        for (int i = 0; i < done; i++) {
          read.add(new Msr(indices[from + i], table.get(LONG, entry(i) + KvmAbi.Msrs.DATA)));
        }
        // It stops at the first that there is not.
        from += done < count ? done + 1 : done;
      }
    }
    return read;
  }

  /**
   * Sets registers. One that KVM refuses to set is no matter as long as it has the value already.
   *
   * @throws RundException naming the first register that stays different
   */
  static void write(KvmVcpu vcpu, List<Msr> msrs) {
    for (int from = 0; from < msrs.size(); ) {
      int count = Math.min(msrs.size() - from, BATCH);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment table = table(arena, count);
        for (int i = 0; i < count; i++) {
          Msr msr = msrs.get(from + i);
          table.set(INT, entry(i) + KvmAbi.Msrs.INDEX, msr.index());
          table.set(LONG, entry(i) + KvmAbi.Msrs.DATA, msr.value());
        }
        int done = vcpu.control("MSRs", KvmAbi.Ioctl.SET_MSRS, table);
        if (done < count) {
          Msr refused = msrs.get(from + done);
          if (!read(vcpu, new int[] {refused.index()}).contains(refused)) {
            throw RundException.internal(
                "KVM does not set MSR 0x%x of vCPU %d to 0x%x"
                    .formatted(refused.index(), vcpu.index(), refused.value()),
                null);
          }
          done++;
        }
        from += done;
      }
    }
  }

  private static MemorySegment table(Arena arena, int count) {
    MemorySegment table = arena.allocate(entry(count), 8);
    table.set(INT, KvmAbi.Msrs.COUNT, count);
    return table;
  }

  private static long entry(int i) {
    return KvmAbi.Msrs.ENTRIES + (long) i * KvmAbi.Msrs.ENTRY_SIZE;
  }
}
