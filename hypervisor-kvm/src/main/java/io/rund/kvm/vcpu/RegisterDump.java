package io.rund.kvm.vcpu;

import io.rund.core.error.RundException;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmVcpu;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A vCPU's registers as text, for the log of a VM that failed. */
final class RegisterDump {
  private static final String[] NAMES = {
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags"
  };
  private static final int PER_LINE = 4;

  private RegisterDump() {}

  static String of(KvmVcpu vcpu) {
    try (Arena arena = Arena.ofConfined()) {
      StringBuilder text = new StringBuilder();
      MemorySegment regs = vcpu.regs(arena);
      for (int i = 0; i < NAMES.length; i++) {
        text.append("%-6s %016x".formatted(NAMES[i], word(regs, i * Long.BYTES)));
        text.append(i % PER_LINE == PER_LINE - 1 ? '\n' : ' ');
      }
      MemorySegment sregs = vcpu.sregs(arena);
      text.append(
          "\ncr0 %x cr2 %x cr3 %x cr4 %x efer %x cs %x:%x"
              .formatted(
                  word(sregs, KvmAbi.Sregs.CR0),
                  word(sregs, KvmAbi.Sregs.CR2),
                  word(sregs, KvmAbi.Sregs.CR3),
                  word(sregs, KvmAbi.Sregs.CR4),
                  word(sregs, KvmAbi.Sregs.EFER),
                  sregs.get(
                      ValueLayout.JAVA_SHORT, KvmAbi.Sregs.CS + (long) KvmAbi.Segment.SELECTOR),
                  word(sregs, KvmAbi.Sregs.CS + KvmAbi.Segment.BASE)));
      return text.toString();
    } catch (RundException e) {
      return "no registers: " + e.getMessage();
    }
  }

  private static long word(MemorySegment struct, int offset) {
    return struct.get(ValueLayout.JAVA_LONG, offset);
  }
}
