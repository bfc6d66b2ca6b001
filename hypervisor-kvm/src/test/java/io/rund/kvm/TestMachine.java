package io.rund.kvm;

import io.rund.core.hypervisor.VmExit;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.bus.ConsoleTail;
import io.rund.kvm.bus.MmioBus;
import io.rund.kvm.bus.MmioDevice;
import io.rund.kvm.bus.PioBus;
import io.rund.kvm.bus.Uart8250;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.RamTemplate;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.vcpu.VcpuExits;
import io.rund.kvm.vcpu.VcpuGroup;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A VM on plain /dev/kvm whose vCPUs run a few bytes of real-mode code. DS reaches the devices'
 * windows, ES and CS reach RAM from 0.
 */
public final class TestMachine implements AutoCloseable {
  public static final int CODE = 0x1000;
  private static final int RAM = 512 << 10;

  public final KvmSystem system = KvmSystem.open();
  public final GuestMemory memory;
  public final KvmVm vm = system.createVm();
  public final List<KvmVcpu> vcpus = new ArrayList<>();
  public final VcpuGroup group;

  /** One that goes on where another one's vCPUs stood. */
  public TestMachine(RamTemplate ram, List<VcpuState> cpus, VmState state) {
    memory = GuestMemory.clone(ram);
    Boot.prepare(vm);
    vm.addMemory(memory);
    for (int i = 0; i < cpus.size(); i++) {
      vcpus.add(vm.createVcpu(i));
    }
    long shift = cpus.getFirst().tscShift(vcpus.getFirst());
    for (int i = 0; i < cpus.size(); i++) {
      cpus.get(i).restore(vcpus.get(i), shift);
    }
    state.restore(vm);
    group = group(null);
  }

  /** Code bytes are given as ints; all vCPUs start at the first. */
  public TestMachine(int vcpus, Uart8250 console, MmioDevice[] devices, int... code) {
    memory = GuestMemory.allocate("test", RAM);
    Boot.prepare(vm);
    vm.addMemory(memory);
    for (int i = 0; i < code.length; i++) {
      memory.putByte(CODE + i, (byte) code[i]);
    }
    for (int i = 0; i < vcpus; i++) {
      KvmVcpu vcpu = vm.createVcpu(i);
      this.vcpus.add(vcpu);
      realMode(vcpu);
    }
    group = group(console, devices);
  }

  private VcpuGroup group(Uart8250 console, MmioDevice... devices) {
    return new VcpuGroup(
        "test",
        vcpus,
        new VcpuExits(new PioBus(console), new MmioBus(devices), new ConsoleTail()),
        Thread::startVirtualThread);
  }

  public TestMachine(int... code) {
    this(1, null, new MmioDevice[0], code);
  }

  private static void realMode(KvmVcpu vcpu) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sregs = vcpu.sregs(arena);
      for (int segment : new int[] {KvmAbi.Sregs.CS, KvmAbi.Sregs.ES, KvmAbi.Sregs.SS}) {
        sregs.set(ValueLayout.JAVA_LONG, segment + (long) KvmAbi.Segment.BASE, 0);
        sregs.set(ValueLayout.JAVA_SHORT, segment + (long) KvmAbi.Segment.SELECTOR, (short) 0);
      }
      long ds = KvmAbi.Sregs.DS;
      sregs.set(ValueLayout.JAVA_LONG, ds + KvmAbi.Segment.BASE, MmioBus.BASE);
      vcpu.setSregs(sregs);
      MemorySegment regs = arena.allocate(KvmAbi.Regs.SIZE, 8);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RIP, CODE);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RSP, 0x8000);
      regs.set(ValueLayout.JAVA_LONG, KvmAbi.Regs.RFLAGS, 2);
      vcpu.setRegs(regs);
    }
  }

  /** Starts, and waits for the end that the guest makes. */
  public VmExit runToEnd() throws ExecutionException, InterruptedException, TimeoutException {
    group.start();
    return awaitExit();
  }

  public VmExit awaitExit() throws ExecutionException, InterruptedException, TimeoutException {
    return group.exited().get(20, TimeUnit.SECONDS);
  }

  @Override
  public void close() {
    group.close();
    vm.close();
    memory.close();
    system.close();
  }
}
