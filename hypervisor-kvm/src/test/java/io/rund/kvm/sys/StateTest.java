package io.rund.kvm.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.TestMachine;
import io.rund.kvm.bus.MmioDevice;
import io.rund.kvm.memory.RamTemplate;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A guest is stopped, and others go on where it stood. */
@Timeout(60)
class StateTest {
  private static final int COUNTER = 0x3000;
  private static final int MARK = 0x3008;

  private static final int CELL = 0x10;

  /** loop: inc eax; mov es:[bx+0x3000], eax; jmp loop */
  private static final int[] COUNT_BY_BX = {
    0x66, 0x40, 0x26, 0x66, 0x89, 0x87, 0x00, 0x30, 0xeb, 0xf6
  };

  /** loop: inc eax; mov es:[0x3000], eax; jmp loop */
  private static final int[] COUNT = {0x66, 0x40, 0x26, 0x66, 0xa3, 0x00, 0x30, 0xeb, 0xf7};

  private static void awaitAbove(TestMachine machine, int count) throws InterruptedException {
    awaitAbove(machine, COUNTER, count);
  }

  private static void awaitAbove(TestMachine machine, int counter, int count)
      throws InterruptedException {
    for (long end = System.nanoTime() + 20_000_000_000L;
        machine.memory.getInt(counter) <= count; ) {
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
          TestMachine one = new TestMachine(ram, List.of(cpu), vm);
          TestMachine other = new TestMachine(ram, List.of(cpu), vm)) {
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
  void severalCpusGoOnEachForItselfWithTheirTscsInStep() throws Exception {
    try (TestMachine machine = new TestMachine(2, null, new MmioDevice[0], COUNT_BY_BX)) {
      for (KvmVcpu vcpu : machine.vcpus) {
        begin(vcpu);
      }
      machine.group.start();
      awaitAbove(machine, COUNTER, 100);
      awaitAbove(machine, COUNTER + CELL, 100);
      machine.group.pause();
      machine.vcpus.forEach(KvmVcpu::settle);
      List<VcpuState> cpus =
          machine.vcpus.stream().map(cpu -> VcpuState.of(cpu, machine.system)).toList();
      try (RamTemplate ram = machine.memory.toTemplate("test-template");
          TestMachine clone = new TestMachine(ram, cpus, VmState.of(machine.vm))) {
        assertEquals(
            machine.vcpus.get(1).tscOffset() - machine.vcpus.get(0).tscOffset(),
            clone.vcpus.get(1).tscOffset() - clone.vcpus.get(0).tscOffset());
        int[] counts = {
          clone.memory.getInt(COUNTER), clone.memory.getInt(COUNTER + CELL),
        };
        clone.group.start();
        awaitAbove(clone, COUNTER, counts[0] + 100);
        awaitAbove(clone, COUNTER + CELL, counts[1] + 100);
      }
    }
  }

  /** Without a startup IPI, and with its number in BX. */
  private static void begin(KvmVcpu vcpu) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment regs = vcpu.regs(arena);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RBX, (long) vcpu.index() * CELL);
      vcpu.setRegs(regs);
      MemorySegment state =
          arena.allocate(KvmAbi.MpState.SIZE, Long.BYTES); // KVM_MP_STATE_RUNNABLE
      vcpu.control("MP state", KvmAbi.Ioctl.SET_MP_STATE, state);
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
      assertEquals(List.of(0x174, 0x175), read.stream().map(Msrs.Msr::index).toList());
      Msrs.write(vcpu, List.of(new Msrs.Msr(0x174, 7), new Msrs.Msr(0x175, 8)));
      assertEquals(8, Msrs.read(vcpu, new int[] {0x175}).getFirst().value());
    }
  }
}
