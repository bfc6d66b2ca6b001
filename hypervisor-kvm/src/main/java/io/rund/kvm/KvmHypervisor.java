package io.rund.kvm;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.Pool;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.kvm.boot.Boot;
import io.rund.kvm.fs.NodeBudget;
import io.rund.kvm.memory.RamFiles;
import io.rund.kvm.snapshot.SnapshotIdentity;
import io.rund.kvm.sys.KvmAbi;
import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.virtio.fs.FsThreads;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Makes VMs on this host's KVM. All of them share a few event loops and the threads that wait for
 * shared folders. Methods may be called from any thread.
 */
public final class KvmHypervisor implements Hypervisor, AutoCloseable {
  /** Loops: device work is short, so a few serve many VMs. */
  private static final int LOOPS = 2;

  /** Of the descriptors that this process may have, the part that guests may make it hold. */
  private static final double SHARED_DESCRIPTORS = 0.75;

  /**
   * Nodes and open files of one sandbox at most. A guest's kernel keeps a node for each file that
   * it has cached, so this must be well above the size of large source trees.
   */
  private static final int SANDBOX_DESCRIPTORS = 1 << 18;

  /** Bytes of the heap that a node takes, about; all of them may take a quarter of it. */
  private static final int NODE_BYTES = 128;

  private static int mostNodes() {
    long descriptors = (long) (SHARED_DESCRIPTORS * Fd.limit());
    return (int) Math.min(descriptors, Runtime.getRuntime().maxMemory() / 4 / NODE_BYTES);
  }

  /** What is learnt of this host once, and needed for each VM. */
  private record Host(KvmSystem kvm, SpareVms vms, Boot boot, int maxVcpus)
      implements AutoCloseable {
    static Host open() {
      KvmSystem kvm = KvmSystem.open();
      try {
        RamFiles.prepare();
        boolean tscDeadline = kvm.extension(KvmAbi.Cap.TSC_DEADLINE_TIMER) != 0;
        Boot boot = new Boot(kvm.supportedCpuid(), tscDeadline);
        int maxVcpus = Math.min(kvm.extension(KvmAbi.Cap.MAX_VCPUS), Boot.MAX_VCPUS);
        return new Host(kvm, new SpareVms(kvm), boot, maxVcpus);
      } catch (RuntimeException e) {
        kvm.close();
        throw e;
      }
    }

    Machine.Parts parts() {
      return new Machine.Parts(kvm, vms, boot);
    }

    @Override
    public void close() {
      vms.close();
      kvm.close();
    }
  }

  private final List<EventLoop> loops = new ArrayList<>();
  private final FsThreads fsThreads = new FsThreads();
  private final NodeBudget nodes = new NodeBudget(mostNodes(), SANDBOX_DESCRIPTORS);
  private final AtomicInteger next = new AtomicInteger();
  private Host host;

  /** Needs no KVM yet: {@link #create} opens it, and again if it could not be used before. */
  public KvmHypervisor() {
    for (int i = 0; i < LOOPS; i++) {
      loops.add(new EventLoop("devices-" + i));
    }
  }

  private synchronized Host host() {
    if (host == null) {
      host = Host.open();
    }
    return host;
  }

  @Override
  public VirtualMachine create(VmConfig config) {
    Host current = host();
    if (config.vcpus() < 1 || config.vcpus() > current.maxVcpus()) {
      throw RundException.invalid(
          "sandbox %s wants %d vCPUs; a VM can have 1 to %d here"
              .formatted(config.id(), config.vcpus(), current.maxVcpus()));
    }
    EventLoop loop = nextLoop();
    Machine machine = Machine.build(config, slots(config), current.parts(), loop);
    return new KvmVirtualMachine(this, config, machine, loop, Optional.empty());
  }

  VirtualMachine clone(VmConfig config, MachineState state) {
    Host current = host();
    EventLoop loop = nextLoop();
    Machine machine = Machine.clone(config, state, current.parts(), loop);
    return new KvmVirtualMachine(this, config, machine, loop, Optional.of(state));
  }

  @Override
  public VmTemplate load(VmConfig config, FileChannel file) throws IOException {
    SnapshotIdentity here = identity(config);
    return new KvmTemplate(this, config, SnapshotFile.load(file, here, config, slots(config)));
  }

  /** What a snapshot of such a VM is of use for. */
  SnapshotIdentity identity(VmConfig config) throws IOException {
    Host current = host();
    return HostIdentity.of(config, Machine.slotIrqs(slots(config)), current.kvm(), current.boot());
  }

  private static int slots(VmConfig config) {
    return KvmVirtualMachine.FIXED_SLOTS + config.slots();
  }

  private EventLoop nextLoop() {
    return loops.get(Math.floorMod(next.getAndIncrement(), LOOPS));
  }

  @Override
  public synchronized List<Pool> pools() {
    return host == null ? List.of() : List.of(host.vms().pool());
  }

  FsThreads fsThreads() {
    return fsThreads;
  }

  NodeBudget nodes() {
    return nodes;
  }

  /** Releases what the VMs shared; they must be closed before. Idempotent. */
  @Override
  public synchronized void close() {
    loops.forEach(EventLoop::close);
    fsThreads.close();
    if (host != null) {
      host.close();
      host = null;
    }
  }
}
