package io.rund.kvm.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.rund.kvm.sys.CpuidEntry;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GuestCpuidTest {
  private static final List<CpuidEntry> EVERYTHING =
      List.of(
          new CpuidEntry(1, 0, 0, 0xa10f11, -1, -1, -1),
          new CpuidEntry(6, 0, 0, 0, 0, 0, 0),
          new CpuidEntry(0xa, 0, 0, -1, -1, -1, -1),
          new CpuidEntry(0xb, 0, 1, 0, 0, 0, 0),
          new CpuidEntry(0xb, 1, 1, 0, 0, 0, 0),
          new CpuidEntry(0x8000_0001, 0, 0, -1, -1, -1, -1),
          new CpuidEntry(0x8000_000a, 0, 0, -1, -1, -1, -1),
          new CpuidEntry(0x4000_0001, 0, 0, 0x1007efb, 0, 0, 0));

  @Test
  void aSandboxHasNeitherNestedVirtualizationNorCounters() {
    List<CpuidEntry> cpuid = new GuestCpuid(EVERYTHING, 1, true).forVcpu(0);
    assertEquals(0, leaf(cpuid, 1, 0).ecx() & 1 << 5);
    assertEquals(0, leaf(cpuid, 0x8000_0001, 0).ecx() & 1 << 2);
    assertEquals(0, leaf(cpuid, 0x8000_000a, 0).eax());
    assertEquals(0, leaf(cpuid, 0xa, 0).eax());
  }

  @Test
  void clockAndTimerAreAnnounced() {
    List<CpuidEntry> cpuid = new GuestCpuid(EVERYTHING, 1, true).forVcpu(0);
    assertEquals(1 << 24, leaf(cpuid, 1, 0).ecx() & 1 << 24);
    assertEquals(1 << 31, leaf(cpuid, 1, 0).ecx() & 1 << 31);
    assertEquals(1 << 2, leaf(cpuid, 6, 0).eax() & 1 << 2);
    assertEquals(0x1007efb, leaf(cpuid, 0x4000_0001, 0).eax());
    List<CpuidEntry> without = new GuestCpuid(EVERYTHING, 1, false).forVcpu(0);
    assertEquals(0, leaf(without, 1, 0).ecx() & 1 << 24);
  }

  @ParameterizedTest
  @CsvSource({"1, 0, 0", "2, 1, 1", "3, 2, 2", "4, 3, 2", "5, 0, 3", "254, 253, 8"})
  void eachVcpuIsACoreOfOnePackage(int cpus, int cpu, int bits) {
    List<CpuidEntry> cpuid = new GuestCpuid(EVERYTHING, cpus, true).forVcpu(cpu);
    assertEquals(cpu, leaf(cpuid, 1, 0).ebx() >>> 24);
    assertEquals(cpus, leaf(cpuid, 1, 0).ebx() >> 16 & 0xff);
    assertEquals(cpu, leaf(cpuid, 0xb, 0).edx());
    assertEquals(1, leaf(cpuid, 0xb, 0).ebx());
    assertEquals(bits, leaf(cpuid, 0xb, 1).eax());
    assertEquals(cpus, leaf(cpuid, 0xb, 1).ebx());
  }

  private static CpuidEntry leaf(List<CpuidEntry> cpuid, int function, int index) {
    return cpuid.stream()
        .filter(entry -> entry.function() == function && entry.index() == index)
        .findFirst()
        .orElseThrow();
  }
}
