package io.rund.kvm.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.TestMachine;
import io.rund.kvm.memory.RamTemplate;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A guest is stopped, and others go on where it stood. */
@Timeout(60)
class StateTest {
  private static final int COUNTER = 0x3000;
  private static final int MARK = 0x3008;

  /** loop: inc eax; mov es:[0x3000], eax; jmp loop */
  private static final int[] COUNT = {0x66, 0x40, 0x26, 0x66, 0xa3, 0x00, 0x30, 0xeb, 0xf7};

  private static void awaitAbove(TestMachine machine, int count) throws InterruptedException {
    for (long end = System.nanoTime() + 20_000_000_000L;
        machine.memory.getInt(COUNTER) <= count; ) {
      assertTrue(System.nanoTime() < end, "the guest does not run");
      Thread.sleep(1);
    }
  }

  @Test
  void clonesGoOnWithRegistersMemoryAndClocksEachForItself() throws Exception {
    try (TestMachine machine = new TestMachine(COUNT)) {
      KvmVcpu vcpu = machine.vcpus.getFirst();
      machine.group.start();
      awaitAbove(machine, 100);
      machine.group.pause();
      vcpu.settle();
      VcpuState cpu = VcpuState.of(vcpu, machine.system);
      VmState vm = VmState.of(machine.vm);
      long tsc = Msrs.tsc(vcpu);
      int count = machine.memory.getInt(COUNTER);
      assertFalse(cpu.isIdle());
      try (RamTemplate ram = machine.memory.toTemplate("test-template");
          TestMachine one = new TestMachine(ram, cpu, vm);
          TestMachine other = new TestMachine(ram, cpu, vm)) {
        long restored = Msrs.tsc(one.vcpus.getFirst());
        // A second of a 5 GHz CPU: the TSC of a machine that is as old as this host is far away.
        assertTrue(Math.abs(restored - tsc) < 5_000_000_000L, restored + " after " + tsc);
        try (Arena arena = Arena.ofConfined()) {
          long rax = one.vcpus.getFirst().regs(arena).get(ValueLayout.JAVA_LONG, KvmAbi.Regs.RAX);
          assertTrue((int) rax - count <= 1, rax + " after " + count);
        }
        one.memory.putInt(COUNTER, 0);
        one.memory.putLong(MARK, 1);
        one.group.start();
        awaitAbove(one, count + 100);
        assertEquals(count, other.memory.getInt(COUNTER));
        assertEquals(0, other.memory.getLong(MARK));
        other.memory.putInt(COUNTER, 0);
        other.group.start();
        awaitAbove(other, count + 100);
        assertEquals(count, machine.memory.getInt(COUNTER));
      }
    }
  }

  @Test
  void aHaltedCpuIsIdle() throws Exception {
    // sti; hlt; and round
    try (TestMachine machine = new TestMachine(0xfb, 0xf4, 0xeb, 0xfc)) {
      KvmVcpu vcpu = machine.vcpus.getFirst();
      machine.group.start();
      boolean idle = false;
      for (long end = System.nanoTime() + 20_000_000_000L; !idle && System.nanoTime() < end; ) {
        Thread.sleep(5);
        machine.group.pause();
        vcpu.settle();
        idle = VcpuState.of(vcpu, machine.system).isIdle();
        machine.group.resume();
      }
      assertTrue(idle);
    }
  }

  @Test
  void registersThatKvmDoesNotHaveAreLeftOut() {
    try (TestMachine machine = new TestMachine(COUNT)) {
      KvmVcpu vcpu = machine.vcpus.getFirst();
      var read = Msrs.read(vcpu, new int[] {0x174, 0x1234_5678, 0x175, 0x7fff_ffff});
      assertEquals(java.util.List.of(0x174, 0x175), read.stream().map(Msrs.Msr::index).toList());
      Msrs.write(vcpu, java.util.List.of(new Msrs.Msr(0x174, 7), new Msrs.Msr(0x175, 8)));
      assertEquals(8, Msrs.read(vcpu, new int[] {0x175}).getFirst().value());
    }
  }
}
