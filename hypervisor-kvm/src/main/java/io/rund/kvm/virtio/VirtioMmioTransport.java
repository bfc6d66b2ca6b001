package io.rund.kvm.virtio;

import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.kvm.bus.IrqLine;
import io.rund.kvm.bus.KickRegistry;
import io.rund.kvm.bus.MmioDevice;
import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One virtio-mmio slot (virtio 1.2, 4.2; version 2 only), empty or with a device. An empty slot has
 * device id 0, for which Linux's probe answers ENODEV and leaves the slot unbound
 * (drivers/virtio/virtio_mmio.c); so devices can be plugged into a running VM.
 *
 * <p>Two worlds meet here. Registers are served on vCPU threads under this object's lock; only the
 * driver's set-up takes it, for interrupts are acknowledged and kicks signalled without. Queues and
 * device belong to the loop, which never takes the lock. DRIVER_OK hands the queues over to the
 * loop; reset takes them back, and the vCPU that asked for it waits until nothing touches them,
 * since the driver frees their memory next.
 */
public final class VirtioMmioTransport implements MmioDevice, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(VirtioMmioTransport.class);

  /** Bytes of the register window. */
  public static final int WINDOW = 0x200;

  /** The most queues a device may have. */
  public static final int MAX_QUEUES = 8;

  /** Feature bits of the queues and of virtio 1.x (virtio 1.2, 6). */
  static final long F_INDIRECT_DESC = 1L << 28;

  static final long F_EVENT_IDX = 1L << 29;
  static final long F_VERSION_1 = 1L << 32;

  /** Bits of the status register (2.1). */
  static final int ACKNOWLEDGE = 1;

  static final int DRIVER = 2;
  static final int DRIVER_OK = 4;
  static final int FEATURES_OK = 8;
  static final int NEEDS_RESET = 64;
  static final int FAILED = 128;

  /** Bits of the interrupt status register (4.2.2). */
  private static final int INTERRUPT_USED = 1;

  private static final int INTERRUPT_CONFIG = 2;

  private static final int MAGIC = 0x74726976;
  private static final int VERSION = 2;

  /**
   * "RUND": by it the guest's kernel knows that interrupts are edges, and asks for their reason
   * only when its queues have nothing (native/guest-kernel/virtio-mmio-edges.patch).
   */
  private static final int VENDOR = 0x444e5552;

  private static final int REG_DEVICE_ID = 0x008;
  private static final int REG_DEVICE_FEATURES = 0x010;
  private static final int REG_DEVICE_FEATURES_SEL = 0x014;
  private static final int REG_DRIVER_FEATURES = 0x020;
  private static final int REG_DRIVER_FEATURES_SEL = 0x024;
  private static final int REG_QUEUE_SEL = 0x030;
  private static final int REG_QUEUE_NUM_MAX = 0x034;

  /** Where the driver writes a queue's index to kick it; KVM signals an eventfd for that. */
  static final int REG_QUEUE_NOTIFY = 0x050;

  private static final int REG_INTERRUPT_STATUS = 0x060;
  private static final int REG_INTERRUPT_ACK = 0x064;
  private static final int REG_STATUS = 0x070;
  private static final int REG_SHM_LEN = 0x0b0;
  private static final int REG_SHM_BASE = 0x0b8;
  private static final int REG_CONFIG_GENERATION = 0x0fc;
  private static final int REG_CONFIG = 0x100;

  private static final VarHandle INTERRUPT_STATUS;
  private static final VarHandle STATUS;

  static {
    try {
      MethodHandles.Lookup lookup = MethodHandles.lookup();
      INTERRUPT_STATUS =
          lookup.findVarHandle(VirtioMmioTransport.class, "interruptStatus", int.class);
      STATUS = lookup.findVarHandle(VirtioMmioTransport.class, "status", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final String name;
  private final GuestMemory memory;
  private final EventLoop loop;
  private final IrqLine irq;
  private final KickRegistry kicks;
  private final long address;

  private volatile int interruptStatus;
  private volatile int status;
  private volatile boolean faultLogged;

  // Under the lock.
  private VirtioDevice device;
  private List<Fd> kickFds = List.of();
  private int generation;
  private int deviceFeaturesSelect;
  private int driverFeaturesSelect;
  private long driverFeatures;
  private int queueSelect;
  private QueueRegisters[] queues = {};

  /** What was handed over to the loop; null before DRIVER_OK. */
  private ActiveDevice active;

  /**
   * @param name for messages: sandbox and slot
   * @param irq interrupts the guest
   * @param kicks turns writes to QueueNotify into signals on eventfds
   * @param address guest-physical, of the register window
   */
  public VirtioMmioTransport(
      String name,
      GuestMemory memory,
      EventLoop loop,
      IrqLine irq,
      KickRegistry kicks,
      long address) {
    this.name = name;
    this.memory = memory;
    this.loop = loop;
    this.irq = irq;
    this.kicks = kicks;
    this.address = address;
  }

  /**
   * Puts a device into the slot, which owns it from now on; before boot, or later, when the guest
   * sees it as soon as it probes the slot. Any thread but the loop's.
   *
   * @throws IllegalStateException if the slot is taken; the device then stays the caller's
   */
  public synchronized void plug(VirtioDevice device) {
    assertNotInLoop();
    if (this.device != null) {
      throw new IllegalStateException(name + " already has a device");
    }
    List<Fd> fds = new ArrayList<>();
    int assigned = 0;
    try {
      for (; assigned < device.queues(); assigned++) {
        fds.add(Fd.eventFd());
        kicks.assignKick(fds.get(assigned), address + REG_QUEUE_NOTIFY, assigned);
      }
    } catch (RuntimeException e) {
      closeKicks(fds, assigned);
      throw e;
    }
    kickFds = List.copyOf(fds);
    this.device = device;
    faultLogged = false;
    generation++;
    clearRegisters();
  }

  /**
   * Empties the slot: waits until the device touches guest memory no more and closes it. Does
   * nothing if the slot is empty. Any thread but the loop's.
   */
  public synchronized void unplug() {
    assertNotInLoop();
    if (device == null) {
      return;
    }
    quiesce();
    List<Fd> fds = kickFds;
    VirtioDevice unplugged = device;
    kickFds = List.of();
    device = null;
    generation++;
    clearRegisters();
    try {
      closeKicks(fds, fds.size());
    } finally {
      unplugged.close();
    }
  }

  /** The same as {@link #unplug}; must come before guest memory is unmapped. */
  @Override
  public void close() {
    unplug();
  }

  /** Whether the slot has a device. */
  public synchronized boolean isOccupied() {
    return device != null;
  }

  private void closeKicks(List<Fd> fds, int assigned) {
    for (int i = 0; i < fds.size(); i++) {
      if (i < assigned) {
        kicks.removeKick(fds.get(i), address + REG_QUEUE_NOTIFY, i);
      }
      fds.get(i).close();
    }
  }

  private void assertNotInLoop() {
    if (loop.inLoop()) {
      throw new IllegalStateException(name + " cannot be changed on its own event loop");
    }
  }

  // Registers: vCPU threads.

  @Override
  public long read(int offset, int size) {
    if (offset == REG_INTERRUPT_STATUS) {
      return interruptStatus;
    }
    if (offset >= REG_CONFIG) {
      return readConfig(offset - REG_CONFIG, size);
    }
    return size == Integer.BYTES ? readRegister(offset) : 0;
  }

  @Override
  public void write(int offset, int size, long value) {
    if (size != Integer.BYTES || offset >= REG_CONFIG) {
      // No device here has a configuration field that the driver may write.
      return;
    }
    if (offset == REG_INTERRUPT_ACK) {
      int _ = (int) INTERRUPT_STATUS.getAndBitwiseAnd(this, ~(int) value);
      return;
    }
    writeRegister(offset, (int) value);
  }

  private synchronized long readConfig(int offset, int size) {
    long value = 0;
    if (device != null) {
      MemorySegment config = device.config();
      for (int i = 0; i < size && offset + i < config.byteSize(); i++) {
        value |= (config.get(ValueLayout.JAVA_BYTE, (long) offset + i) & 0xffL) << (8 * i);
      }
    }
    return value;
  }

  private synchronized long readRegister(int offset) {
    return switch (offset) {
      case 0x000 -> MAGIC;
      case 0x004 -> VERSION;
      case REG_DEVICE_ID -> device == null ? 0 : device.type();
      case 0x00c -> VENDOR;
      case REG_DEVICE_FEATURES ->
          deviceFeaturesSelect >>> 1 == 0 ? (int) (offered() >>> (32 * deviceFeaturesSelect)) : 0;
      case REG_QUEUE_NUM_MAX -> selected() == null ? 0 : device.maxQueueSize();
      case QueueRegisters.READY -> selected() != null && selected().isReady() ? 1 : 0;
      case REG_STATUS -> status;
      // A shared memory region that does not exist has length and base -1 (4.2.2).
      case REG_SHM_LEN, REG_SHM_LEN + 4, REG_SHM_BASE, REG_SHM_BASE + 4 -> 0xffff_ffffL;
      case REG_CONFIG_GENERATION -> generation;
      default -> 0;
    };
  }

  private long offered() {
    return device == null ? 0 : device.features() | F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1;
  }

  private QueueRegisters selected() {
    return queueSelect >= 0 && queueSelect < queues.length ? queues[queueSelect] : null;
  }

  private synchronized void writeRegister(int offset, int value) {
    if (device == null) {
      return;
    }
    switch (offset) {
      case REG_DEVICE_FEATURES_SEL -> deviceFeaturesSelect = value;
      case REG_DRIVER_FEATURES_SEL -> driverFeaturesSelect = value;
      case REG_DRIVER_FEATURES -> writeFeatures(value);
      case REG_QUEUE_SEL -> queueSelect = value;
      case REG_STATUS -> writeStatus(value);
      default -> writeQueue(offset, value);
    }
  }

  private void writeFeatures(int value) {
    if (driverFeaturesSelect >>> 1 == 0 && (status & FEATURES_OK) == 0) {
      int shift = 32 * driverFeaturesSelect;
      driverFeatures &= ~(0xffff_ffffL << shift);
      driverFeatures |= Integer.toUnsignedLong(value) << shift;
    }
  }

  private void writeQueue(int offset, int value) {
    QueueRegisters queue = selected();
    // A queue in use keeps its place until the device is reset.
    if (queue == null || (status & DRIVER_OK) != 0) {
      return;
    }
    try {
      queue.write(offset, value, memory, device.maxQueueSize());
    } catch (GuestFault e) {
      needsReset("queue " + queueSelect + ": " + e.getMessage());
    }
  }

  /** The driver's walk through its initialisation (3.1.1): bits are only ever added. */
  private void writeStatus(int value) {
    if (value == 0) {
      quiesce();
      clearRegisters();
      return;
    }
    int added = value & ~status & (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | FAILED);
    if ((added & FEATURES_OK) != 0
        && ((driverFeatures & ~offered()) != 0 || (driverFeatures & F_VERSION_1) == 0)) {
      added &= ~FEATURES_OK;
    }
    if ((added & DRIVER_OK) != 0) {
      if ((status & FEATURES_OK) == 0 || (status & NEEDS_RESET) != 0) {
        added &= ~DRIVER_OK;
      } else {
        handOver();
      }
    }
    int _ = (int) STATUS.getAndBitwiseOr(this, added);
  }

  private void clearRegisters() {
    status = 0;
    interruptStatus = 0;
    deviceFeaturesSelect = 0;
    driverFeaturesSelect = 0;
    driverFeatures = 0;
    queueSelect = 0;
    queues = new QueueRegisters[device == null ? 0 : device.queues()];
    for (int i = 0; i < queues.length; i++) {
      queues[i] = new QueueRegisters();
    }
  }

  // Snapshots.

  /**
   * For who takes this slot's state while the vCPUs are paused and nobody plugs.
   *
   * @throws RundException UNAVAILABLE if the driver is just setting the device up
   */
  public synchronized DeviceHold holder() {
    if (device == null || status == 0) {
      return new DeviceHold(Optional.empty());
    }
    if ((status & DRIVER_OK) == 0) {
      throw RundException.unavailable(name + ": the guest is setting its device up", null);
    }
    return new DeviceHold(
        Optional.of(
            new DeviceHold.InUse(
                name,
                TransportState.Kind.of(device),
                status,
                driverFeatures,
                List.of(queues),
                active)));
  }

  /**
   * The device, just plugged, goes on for a driver that used its like. Before the vCPUs run.
   *
   * @throws RundException FAILED_PRECONDITION if it is not its like
   */
  public synchronized void restore(TransportState state) {
    if (device == null) {
      throw RundException.precondition(name + ": the guest knows a device where there is none");
    }
    state.check(name, device, offered(), memory);
    driverFeatures = state.features();
    queues = state.registers();
    active =
        new ActiveDevice(
            loop,
            device,
            kickFds,
            (i, onFault) -> state.position(i, makeQueue(i, onFault)),
            this::needsReset);
    status = state.status();
    device.negotiated(driverFeatures);
    ActiveDevice restored = active;
    loop.execute(() -> restored.resume(state.features()));
    // An interrupt that was on its way is lost; one too many finds nothing to do.
    interrupt();
  }

  // The hand-over between the two worlds.

  private void handOver() {
    device.negotiated(driverFeatures);
    ActiveDevice activated =
        new ActiveDevice(loop, device, kickFds, this::makeQueue, this::needsReset);
    active = activated;
    long features = driverFeatures;
    loop.execute(() -> activated.start(features));
  }

  private Virtqueue makeQueue(int i, Consumer<String> onFault) {
    return queues[i].isReady()
        ? new Virtqueue(
            memory,
            queues[i].layout(),
            device.maxQueueSize(),
            (driverFeatures & F_EVENT_IDX) != 0,
            (driverFeatures & F_INDIRECT_DESC) != 0,
            this::interrupt,
            onFault)
        : Virtqueue.absent(memory);
  }

  /** Waits until the loop has given queues and device back. */
  private void quiesce() {
    if (active == null) {
      return;
    }
    CompletableFuture<Void> quiet = new CompletableFuture<>();
    ActiveDevice stopped = active;
    loop.execute(() -> stopped.stop(() -> quiet.complete(null)));
    quiet.join();
    active = null;
  }

  // Called by the device at work, on the loop.

  private void interrupt() {
    int _ = (int) INTERRUPT_STATUS.getAndBitwiseOr(this, INTERRUPT_USED);
    irq.raise();
  }

  private void needsReset(String reason) {
    // A guest can break rules all day; the first time tells enough.
    if (!faultLogged) {
      faultLogged = true;
      log.warn("{}: guest broke a rule of virtio, device stopped until reset: {}", name, reason);
    }
    int _ = (int) STATUS.getAndBitwiseOr(this, NEEDS_RESET);
    int _ = (int) INTERRUPT_STATUS.getAndBitwiseOr(this, INTERRUPT_CONFIG);
    irq.raise();
  }
}
