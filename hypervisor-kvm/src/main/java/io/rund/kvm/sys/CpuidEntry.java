package io.rund.kvm.sys;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** One answer of the CPUID instruction, as struct kvm_cpuid_entry2 has it. */
public record CpuidEntry(int function, int index, int flags, int eax, int ebx, int ecx, int edx) {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  /** The same leaf with other registers. */
  public CpuidEntry with(int newEax, int newEbx, int newEcx, int newEdx) {
    return new CpuidEntry(function, index, flags, newEax, newEbx, newEcx, newEdx);
  }

  /** Reads a struct kvm_cpuid2. */
  static List<CpuidEntry> read(MemorySegment table) {
    int count = table.get(INT, KvmAbi.Cpuid.COUNT);
    List<CpuidEntry> entries = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      long at = entryOffset(i);
      entries.add(
          new CpuidEntry(
              table.get(INT, at + KvmAbi.Cpuid.FUNCTION),
              table.get(INT, at + KvmAbi.Cpuid.INDEX),
              table.get(INT, at + KvmAbi.Cpuid.FLAGS),
              table.get(INT, at + KvmAbi.Cpuid.EAX),
              table.get(INT, at + KvmAbi.Cpuid.EBX),
              table.get(INT, at + KvmAbi.Cpuid.ECX),
              table.get(INT, at + KvmAbi.Cpuid.EDX)));
    }
    return entries;
  }

  /** Makes a struct kvm_cpuid2. */
  static MemorySegment write(List<CpuidEntry> entries, Arena arena) {
    MemorySegment table = arena.allocate(entryOffset(entries.size()), 8);
    table.set(INT, KvmAbi.Cpuid.COUNT, entries.size());
    for (int i = 0; i < entries.size(); i++) {
      long at = entryOffset(i);
      CpuidEntry entry = entries.get(i);
      table.set(INT, at + KvmAbi.Cpuid.FUNCTION, entry.function);
      table.set(INT, at + KvmAbi.Cpuid.INDEX, entry.index);
      table.set(INT, at + KvmAbi.Cpuid.FLAGS, entry.flags);
      table.set(INT, at + KvmAbi.Cpuid.EAX, entry.eax);
      table.set(INT, at + KvmAbi.Cpuid.EBX, entry.ebx);
      table.set(INT, at + KvmAbi.Cpuid.ECX, entry.ecx);
      table.set(INT, at + KvmAbi.Cpuid.EDX, entry.edx);
    }
    return table;
  }

  private static long entryOffset(int i) {
    return KvmAbi.Cpuid.ENTRIES + (long) i * KvmAbi.Cpuid.ENTRY_SIZE;
  }
}
