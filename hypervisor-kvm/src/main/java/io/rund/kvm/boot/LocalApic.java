package io.rund.kvm.boot;

import io.rund.kvm.sys.KvmVcpu;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A local APIC's input pins as firmware leaves them ("virtual wire mode", MP specification 1.4,
 * 3.6.2.2; registers: Intel SDM volume 3, 11.5.1).
 */
final class LocalApic {
  private static final long LVT_LINT0 = 0x350;
  private static final long LVT_LINT1 = 0x360;
  private static final int MODE_MASK = 0x700;
  private static final int MODE_NMI = 0x400;
  private static final int MODE_EXT_INT = 0x700;

  private LocalApic() {}

  static void wire(KvmVcpu vcpu) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment lapic = vcpu.lapic(arena);
      setMode(lapic, LVT_LINT0, MODE_EXT_INT);
      setMode(lapic, LVT_LINT1, MODE_NMI);
      vcpu.setLapic(lapic);
    }
  }

  private static void setMode(MemorySegment lapic, long register, int mode) {
    int value = lapic.get(ValueLayout.JAVA_INT, register);
    lapic.set(ValueLayout.JAVA_INT, register, (value & ~MODE_MASK) | mode);
  }
}
