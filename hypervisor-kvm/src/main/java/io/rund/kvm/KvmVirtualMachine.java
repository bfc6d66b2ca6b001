package io.rund.kvm;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.AddressRange;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.fs.SharedFileSystem;
import io.rund.kvm.virtio.BalloonDevice;
import io.rund.kvm.virtio.RngDevice;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.block.BlockBackend;
import io.rund.kvm.virtio.block.BlockDevice;
import io.rund.kvm.virtio.block.FileBackend;
import io.rund.kvm.virtio.block.IoPool;
import io.rund.kvm.virtio.fs.FsDevice;
import io.rund.kvm.virtio.net.NetDevice;
import io.rund.kvm.virtio.vsock.VsockDevice;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;

/** One VM as the sandbox manager sees it. Slot numbers are those of Linux's virtio-mmio.N. */
final class KvmVirtualMachine implements VirtualMachine {
  private static final int VSOCK_SLOT = 0;
  private static final int RNG_SLOT = 1;
  private static final int SHARES_SLOT = 2;
  private static final int BALLOON_SLOT = 3;

  /** Slots that always have the same device; the others may be plugged. */
  static final int FIXED_SLOTS = 4;

  private final KvmHypervisor hypervisor;
  private final VmConfig config;
  private final String id;
  private final Machine machine;
  private final EventLoop loop;
  private final IoPool ioPool;
  private final VsockDevice vsock;
  private final BalloonDevice balloon;

  private final Optional<MachineState> from;

  /** In {@link #SHARES_SLOT}; owns {@link #shares}. */
  private final FsDevice fs;

  private final SharedFileSystem shares;

  /** Guards what is plugged where, against the VM's end too. */
  private final Object lock = new Object();

  /** Slots with one; guarded by {@link #lock}. */
  private final Set<Integer> disks = new HashSet<>();

  private boolean closed;

  /**
   * @param machine owned from now on, also if this throws
   * @param from what a clone's machine goes on from
   */
  KvmVirtualMachine(
      KvmHypervisor hypervisor,
      VmConfig config,
      Machine machine,
      EventLoop loop,
      Optional<MachineState> from) {
    this.hypervisor = hypervisor;
    this.config = config;
    this.id = config.id();
    this.from = from;
    this.machine = machine;
    this.loop = loop;
    this.ioPool = new IoPool(id);
    this.vsock = new VsockDevice(loop);
    this.balloon = new BalloonDevice(machine.memory());
    this.shares = new SharedFileSystem(id, hypervisor.nodes());
    this.fs = new FsDevice(machine.memory(), loop, hypervisor.fsThreads(), Share.TAG, shares);
    try {
      machine.plug(VSOCK_SLOT, vsock);
      machine.plug(RNG_SLOT, new RngDevice(machine.memory()));
      machine.plug(BALLOON_SLOT, balloon);
      machine.plug(SHARES_SLOT, fs);
    } catch (RuntimeException e) {
      machine.close();
      shares.close();
      throw e;
    }
  }

  @Override
  public EventLoop loop() {
    return loop;
  }

  @Override
  public AutoCloseable listen(int port, int limit, Consumer<VsockStream> onAccept) {
    return vsock.listen(port, limit, onAccept);
  }

  @Override
  public int plug(DiskConfig disk) {
    // Before the lock: a disk that does not answer holds up who wants it, and not the VM's end.
    BlockBackend backend = FileBackend.open(disk);
    synchronized (lock) {
      BlockDevice device;
      int slot;
      try {
        checkOpen();
        slot = freeSlot();
        device = new BlockDevice(machine.memory(), loop, ioPool, backend);
      } catch (RuntimeException e) {
        backend.close();
        throw e;
      }
      var _ = plug(slot, device);
      disks.add(slot);
      return slot;
    }
  }

  @Override
  public int plug(NicConfig nic) {
    synchronized (lock) {
      NetDevice device = new NetDevice(machine.memory(), loop, nic);
      int slot;
      try {
        checkOpen();
        slot = freeSlot();
      } catch (RuntimeException e) {
        device.close();
        throw e;
      }
      return plug(slot, device);
    }
  }

  private int plug(int slot, VirtioDevice device) {
    try {
      machine.plug(slot, device);
      return slot;
    } catch (RuntimeException e) {
      device.close();
      throw e;
    }
  }

  private int freeSlot() {
    for (int slot = FIXED_SLOTS; slot < machine.slots(); slot++) {
      if (!machine.isOccupied(slot)) {
        return slot;
      }
    }
    throw new RundException(
        ErrorCode.RESOURCE_EXHAUSTED,
        "all %d slots for devices of sandbox %s are taken; raise the number of slots"
            .formatted(machine.slots() - FIXED_SLOTS, id));
  }

  @Override
  public void unplug(int slot) {
    synchronized (lock) {
      checkOpen();
      if (slot < FIXED_SLOTS || slot >= machine.slots() || !machine.isOccupied(slot)) {
        throw RundException.notFound("sandbox " + id + " has no device to unplug in slot " + slot);
      }
      machine.unplug(slot);
      disks.remove(slot);
    }
  }

  private void checkOpen() {
    if (closed) {
      throw RundException.precondition("the VM of sandbox " + id + " has ended");
    }
  }

  @Override
  public void share(Share share) {
    synchronized (lock) {
      if (closed) {
        share.root().close();
      }
      checkOpen();
      shares.add(share);
    }
  }

  @Override
  public void unshare(String name) {
    synchronized (lock) {
      if (!closed) {
        shares.remove(name);
      }
    }
  }

  @Override
  public List<AddressRange> ram() {
    synchronized (lock) {
      return closed
          ? List.of()
          : machine.memory().regions().stream()
              .map(r -> new AddressRange(r.hostAddress(), r.hostAddress() + r.length()))
              .toList();
    }
  }

  @Override
  public void start() {
    from.ifPresent(this::restore);
    machine.vcpus().start();
  }

  private void restore(MachineState state) {
    fs.restore(state.shares());
    machine.restoreDevices(state);
    // After the device has been told of its queues, which happens on the loop too, and before the
    // guest can send anything.
    try {
      CompletableFuture.runAsync(
              () -> state.agent().ifPresentOrElse(vsock::restore, vsock::resetTransport), loop)
          .join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException refused ? refused : e;
    }
  }

  @Override
  public void pause() {
    machine.vcpus().pause();
  }

  @Override
  public void resume() {
    machine.vcpus().resume();
  }

  @Override
  public List<Integer> vcpuThreads() {
    return machine.vcpus().threadIds();
  }

  @Override
  public void beginsToWork() {
    synchronized (lock) {
      if (!closed) {
        machine.memory().beginsToWork();
      }
    }
  }

  @Override
  public Usage usage() {
    synchronized (lock) {
      return closed
          ? new Usage(0, 0)
          : new Usage(machine.vcpus().cpuNanos(), machine.memory().residentBytes());
    }
  }

  @Override
  public VmTemplate template() {
    return snapshot(true, () -> {});
  }

  @Override
  public VmTemplate snapshot(Runnable meanwhile) {
    return snapshot(false, meanwhile);
  }

  private VmTemplate snapshot(boolean untouched, Runnable meanwhile) {
    synchronized (lock) {
      checkOpen();
      if (!disks.isEmpty()) {
        throw RundException.precondition(
            "no snapshot of %s: it has a disk, which a snapshot does not hold".formatted(id));
      }
      Capture.Devices own = new Capture.Devices(vsock, fs, balloon);
      try (Capture standing = Capture.of(id, machine, loop, own, untouched)) {
        meanwhile.run();
        return new KvmTemplate(hypervisor, config, standing.state());
      }
    }
  }

  @Override
  public CompletableFuture<VmExit> exited() {
    return machine.vcpus().exited();
  }

  @Override
  public void close() {
    if (loop.inLoop()) {
      throw new IllegalStateException("a VM cannot be closed on its own event loop");
    }
    synchronized (lock) {
      if (!closed) {
        closed = true;
        machine.close();
        ioPool.close();
      }
    }
  }
}
