package io.rund.kvm;

import io.rund.core.hypervisor.VmConfig;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.bus.ConsoleLog;
import io.rund.kvm.bus.ConsoleTail;
import io.rund.kvm.bus.MmioBus;
import io.rund.kvm.bus.MmioDevice;
import io.rund.kvm.bus.PioBus;
import io.rund.kvm.bus.Uart8250;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.sys.IrqFd;
import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.sys.KvmVcpu;
import io.rund.kvm.sys.KvmVm;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.vcpu.VcpuExits;
import io.rund.kvm.vcpu.VcpuGroup;
import io.rund.kvm.virtio.DeviceHold;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.VirtioMmioTransport;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The parts of one VM, put together: RAM, interrupt lines, one virtio-mmio slot after the other,
 * vCPUs. It owns them all and closes them in reverse order. Slots beyond those of {@link #plug} are
 * empty.
 */
final class Machine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Machine.class);

  /** Pins below belong to a PC's own devices: timer, keyboard, cascade, serial ports. */
  private static final int FIRST_PIN = 5;

  /** Pins 5 to 23 of the IOAPIC; with more slots than that, slots share a pin. */
  private static final int PINS = 19;

  private final String id;
  private final KvmSystem kvm;
  private final Deque<AutoCloseable> parts = new ArrayDeque<>();
  private final List<IrqFd> irqs = new ArrayList<>();
  private final List<VirtioMmioTransport> slots = new ArrayList<>();
  private final List<KvmVcpu> cpus = new ArrayList<>();
  private GuestMemory memory;
  private KvmVm vm;
  private VcpuGroup vcpus;

  private Machine(String id, KvmSystem kvm) {
    this.id = id;
    this.kvm = kvm;
  }

  /** What the machines of a host are made with. */
  record Parts(KvmSystem kvm, SpareVms vms, Boot boot) {}

  /** Puts a kernel into RAM and its first instruction into the vCPUs, or the state of others. */
  private interface Filler {
    void fill(KvmVm vm, List<KvmVcpu> cpus, List<Integer> slotIrqs);
  }

  /**
   * @param slots number of virtio-mmio slots
   */
  static Machine build(VmConfig config, int slots, Parts parts, EventLoop loop) {
    Machine machine = new Machine(config.id(), parts.kvm());
    try {
      GuestMemory ram = GuestMemory.allocate("rund-" + config.id(), config.memoryBytes());
      machine.assemble(
          config,
          slots,
          loop,
          parts.vms(),
          ram,
          (vm, cpus, irqs) -> {
            // It has counted since the VM was made.
            vm.setClock(0);
            parts.boot().load(config, ram, cpus, irqs);
          });
      return machine;
    } catch (Throwable t) {
      machine.close();
      throw t;
    }
  }

  /** The devices that the state knows are to be plugged, then {@link #restoreDevices}. */
  static Machine clone(VmConfig config, MachineState state, Parts parts, EventLoop loop) {
    Machine machine = new Machine(config.id(), parts.kvm());
    try {
      machine.assemble(
          config,
          state.slots().size(),
          loop,
          parts.vms(),
          GuestMemory.clone(state.ram()),
          (vm, cpus, irqs) -> {
            parts.boot().identify(cpus);
            state.restore(vm, cpus);
          });
      return machine;
    } catch (Throwable t) {
      machine.close();
      throw t;
    }
  }

  private void assemble(
      VmConfig config, int count, EventLoop loop, SpareVms vms, GuestMemory ram, Filler filler) {
    memory = own(ram);
    vm = own(vms.take());
    vm.addMemory(memory);
    for (int pin = 0; pin < Math.min(PINS, count); pin++) {
      irqs.add(own(new IrqFd(vm, FIRST_PIN + pin)));
    }
    for (int slot = 0; slot < count; slot++) {
      slots.add(
          own(
              new VirtioMmioTransport(
                  id + " slot " + slot, memory, loop, irq(slot), vm, MmioBus.address(slot))));
    }
    ConsoleTail tail = new ConsoleTail();
    Uart8250 console =
        config
            .console()
            .map(path -> console(vm, new ConsoleLog(path)))
            .orElseGet(() -> new Uart8250(tail, () -> {}));
    for (int i = 0; i < config.vcpus(); i++) {
      cpus.add(own(vm.createVcpu(i)));
    }
    filler.fill(vm, cpus, slotIrqs(count));
    MmioBus mmio = new MmioBus(slots.toArray(MmioDevice[]::new));
    vcpus = own(new VcpuGroup(id, cpus, new VcpuExits(new PioBus(console), mmio, tail), loop));
  }

  /** The interrupts of so many slots. */
  static List<Integer> slotIrqs(int count) {
    return IntStream.range(0, count).mapToObj(slot -> FIRST_PIN + slot % PINS).toList();
  }

  private IrqFd irq(int slot) {
    return irqs.get(slot % irqs.size());
  }

  private Uart8250 console(KvmVm vm, ConsoleLog consoleLog) {
    own(consoleLog);
    IrqFd irq = own(new IrqFd(vm, Uart8250.GSI));
    irq.connect();
    return new Uart8250(consoleLog, irq::raise);
  }

  private <T extends AutoCloseable> T own(T part) {
    parts.push(part);
    return part;
  }

  GuestMemory memory() {
    return memory;
  }

  VcpuGroup vcpus() {
    return vcpus;
  }

  /** Number of slots. */
  int slots() {
    return slots.size();
  }

  boolean isOccupied(int slot) {
    return slots.get(slot).isOccupied();
  }

  /** Puts a device into an empty slot, which owns it from then on. */
  void plug(int slot, VirtioDevice device) {
    irq(slot).connect();
    slots.get(slot).plug(device);
  }

  void unplug(int slot) {
    slots.get(slot).unplug();
  }

  /** The devices plugged go on where those of the state were. */
  void restoreDevices(MachineState state) {
    for (int slot = 0; slot < slots.size(); slot++) {
      state.slots().get(slot).ifPresent(slots.get(slot)::restore);
    }
  }

  /** The state of vCPUs that are paused. */
  List<VcpuState> vcpuStates() {
    cpus.forEach(KvmVcpu::settle);
    return cpus.stream().map(cpu -> VcpuState.of(cpu, kvm)).toList();
  }

  /** The state of the interrupt controllers and the clock of a paused VM. */
  VmState vmState() {
    return VmState.of(vm);
  }

  /**
   * What holds the devices of a paused VM, slot by slot.
   *
   * @throws io.rund.core.error.RundException UNAVAILABLE if the guest is setting one up
   */
  List<DeviceHold> devices() {
    return slots.stream().map(VirtioMmioTransport::holder).toList();
  }

  /** Last made, first closed: vCPUs stop before devices, devices let go before RAM is unmapped. */
  @Override
  public void close() {
    while (!parts.isEmpty()) {
      AutoCloseable part = parts.pop();
      try {
        part.close();
      } catch (Exception e) {
        log.error("VM {}: closing {}", id, part, e);
      }
    }
  }
}
