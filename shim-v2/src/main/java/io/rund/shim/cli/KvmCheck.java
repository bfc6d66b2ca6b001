package io.rund.shim.cli;

import io.rund.core.error.RundException;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Whether KVM is there and runs guest code: a VM of a few pages executes two instructions. */
final class KvmCheck {
  private static final String NAME = "kvm";
  private static final String REMEDY =
      "on bare metal enable VT-x or AMD-V in the firmware and `modprobe kvm-intel` or `kvm-amd`; in"
          + " a VM enable nested virtualization on its host; run as root";

  private static final int RAM = 64 << 10;
  private static final int CODE_AT = 0x1000;
  private static final int PORT = 0x42;
  private static final int VALUE = 0x2a;

  /** mov $VALUE, %al; out %al, $PORT. */
  private static final byte[] CODE = {(byte) 0xb0, VALUE, (byte) 0xe6, PORT};

  private KvmCheck() {}

  static Check run() {
    try (KvmSystem system = KvmSystem.open();
        GuestMemory memory = GuestMemory.allocate("doctor", RAM);
        KvmVm vm = system.createVm()) {
      Boot.prepare(vm);
      vm.addMemory(memory);
      for (int i = 0; i < CODE.length; i++) {
        memory.putByte(CODE_AT + i, CODE[i]);
      }
      try (KvmVcpu vcpu = vm.createVcpu(0)) {
        return run(vcpu);
      }
    } catch (RundException e) {
      return Check.failed(NAME, e.getMessage(), REMEDY);
    }
  }

  private static Check run(KvmVcpu vcpu) {
    startInRealMode(vcpu);
    int error = vcpu.run();
    MemorySegment run = vcpu.runArea();
    int reason = run.get(ValueLayout.JAVA_INT, KvmAbi.Run.EXIT_REASON);
    if (error == 0 && reason == KvmAbi.Exit.IO) {
      long data = run.get(ValueLayout.JAVA_LONG, KvmAbi.Run.IO_DATA_OFFSET);
      if (run.get(ValueLayout.JAVA_SHORT, KvmAbi.Run.IO_PORT) == PORT
          && run.get(ValueLayout.JAVA_BYTE, data) == VALUE) {
        return Check.ok(NAME, "/dev/kvm runs guest code");
      }
    }
    return Check.failed(
        NAME, "a guest did not run: errno %d, exit reason %d".formatted(error, reason), REMEDY);
  }

  private static void startInRealMode(KvmVcpu vcpu) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sregs = vcpu.sregs(arena);
      sregs.set(ValueLayout.JAVA_LONG, KvmAbi.Sregs.CS + (long) KvmAbi.Segment.BASE, 0);
      sregs.set(
          ValueLayout.JAVA_SHORT, KvmAbi.Sregs.CS + (long) KvmAbi.Segment.SELECTOR, (short) 0);
      vcpu.setSregs(sregs);
      MemorySegment regs = arena.allocate(KvmAbi.Regs.SIZE, 8);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RIP, CODE_AT);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RFLAGS, 2);
      vcpu.setRegs(regs);
    }
  }
}
