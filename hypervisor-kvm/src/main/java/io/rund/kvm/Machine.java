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
import io.rund.kvm.vcpu.VcpuExits;
import io.rund.kvm.vcpu.VcpuGroup;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.VirtioMmioTransport;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
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
  private final Deque<AutoCloseable> parts = new ArrayDeque<>();
  private final List<IrqFd> irqs = new ArrayList<>();
  private final List<VirtioMmioTransport> slots = new ArrayList<>();
  private GuestMemory memory;
  private VcpuGroup vcpus;

  private Machine(String id) {
    this.id = id;
  }

  /**
   * @param slots number of virtio-mmio slots
   */
  static Machine build(VmConfig config, int slots, KvmSystem kvm, Boot boot, EventLoop loop) {
    Machine machine = new Machine(config.id());
    try {
      machine.assemble(config, slots, kvm, boot, loop);
      return machine;
    } catch (Throwable t) {
      machine.close();
      throw t;
    }
  }

  private void assemble(VmConfig config, int count, KvmSystem kvm, Boot boot, EventLoop loop) {
    memory = own(GuestMemory.allocate("rund-" + id, config.memoryBytes()));
    KvmVm vm = own(kvm.createVm());
    Boot.prepare(vm);
    vm.addMemory(memory);
    for (int pin = 0; pin < Math.min(PINS, count); pin++) {
      irqs.add(own(new IrqFd(vm, FIRST_PIN + pin)));
    }
    List<Integer> slotIrqs = new ArrayList<>();
    for (int slot = 0; slot < count; slot++) {
      slotIrqs.add(irq(slot).gsi());
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
    List<KvmVcpu> cpus = new ArrayList<>();
    for (int i = 0; i < config.vcpus(); i++) {
      cpus.add(own(vm.createVcpu(i)));
    }
    boot.load(config, memory, cpus, slotIrqs);
    MmioBus mmio = new MmioBus(slots.toArray(MmioDevice[]::new));
    vcpus = own(new VcpuGroup(id, cpus, new VcpuExits(new PioBus(console), mmio, tail)));
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
