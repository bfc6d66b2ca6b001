package io.rund.core.sandbox;

import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.network.PodNetwork;
import io.rund.core.stdio.ProcessIo;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A VM whose agent answers, the anchor that stands for it among the host's processes, and the
 * containers in it. Ends as a whole: when the VM, the agent or the anchor goes, the others go too,
 * and every container's processes have ended. Safe for use by several threads.
 */
final class Sandbox implements GuestNamespaces.Pod, GuestClocks.Clock, AutoCloseable {
  static final Logger log = LoggerFactory.getLogger(Sandbox.class);

  private static final int FIRST_STREAM_PORT = 0x10000;

  private final String id;
  private final SandboxSize size;
  private final PodMounts mounts;
  private final VirtualMachine vm;
  private final Anchor anchor;
  private final GuestAgent agent;
  private final GuestAgent.Hello hello;
  private final SandboxNetwork network;
  private final PodShares shares;
  private final CpuGroup cpu;
  private final AtomicInteger nextPort = new AtomicInteger(FIRST_STREAM_PORT);
  private final CompletableFuture<String> givenUp = new CompletableFuture<>();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final CompletableFuture<Void> released = new CompletableFuture<>();

  /** In the order in which they came; guarded by itself, as is {@link #ended}. */
  private final Set<Container> containers = new LinkedHashSet<>();

  private boolean ended;

  /** It was told with {@code hello}. */
  private volatile long toldOffset = GuestClocks.hostOffset();

  /** Guarded by {@link #cpu}. */
  private CpuShare cpuShare = CpuShare.FREE;

  /** {@code id} is unique among the engine's sandboxes. */
  Sandbox(
      String id,
      SandboxSize size,
      PodMounts mounts,
      VirtualMachine vm,
      Anchor anchor,
      GuestAgent agent,
      GuestAgent.Hello hello,
      PodNetwork network,
      CpuGroup cpu) {
    this.id = id;
    this.size = size;
    this.mounts = mounts;
    this.vm = vm;
    this.anchor = anchor;
    this.agent = agent;
    this.hello = hello;
    this.cpu = cpu;
    this.shares = new PodShares(vm);
    this.network = new SandboxNetwork(network, id, vm, agent, nextPort::getAndIncrement);
  }

  static String describe(VmExit exit) {
    return switch (exit) {
      case VmExit.GuestShutdown(String lastWords) ->
          lastWords.isEmpty()
              ? "it reset itself without a word"
              : "it reset itself and said:\n" + lastWords;
      case VmExit.Closed c -> "it was closed";
      case VmExit.Failed f -> f.reason();
    };
  }

  /** Ends the rest when one part goes without {@link #close}, on a thread of its own. */
  void watch() {
    var _ =
        CompletableFuture.anyOf(
                givenUp,
                vm.exited().thenApply(Sandbox::describe),
                agent.closed().thenApply(v -> "its agent closed the connection"),
                anchor.exited().thenApply(v -> "its anchor, pid " + anchor.pid() + ", was ended"))
            .thenAcceptAsync(
                reason -> {
                  if (!closed.get()) {
                    log.warn("sandbox {} ended: {}", id, reason);
                    endContainers(end());
                    close();
                  }
                },
                Thread::startVirtualThread);
  }

  /** Ends a sandbox whose guest does not do what it must. Returns before it has ended. */
  void giveUp(String reason) {
    givenUp.complete(reason);
  }

  /** Counts a container as one of this sandbox; if the sandbox has ended, so has the container. */
  void add(Container container) {
    boolean late;
    synchronized (containers) {
      late = ended;
      containers.add(container);
    }
    if (late) {
      container.lost();
    }
  }

  void remove(Container container) {
    synchronized (containers) {
      containers.remove(container);
    }
  }

  /** Ends all containers but {@code first}, the one whose end is the sandbox's. */
  void endAllBut(Container first) {
    endContainers(end().stream().filter(container -> container != first).toList());
  }

  private List<Container> end() {
    synchronized (containers) {
      ended = true;
      return List.copyOf(containers);
    }
  }

  /** The first container, which stands for the sandbox, last. */
  private static void endContainers(List<Container> all) {
    all.reversed().forEach(Container::lost);
  }

  @Override
  public OptionalInt guestPid(int anchorPid) {
    if (anchorPid == pid()) {
      return OptionalInt.of(agent.sharedPidNamespace());
    }
    synchronized (containers) {
      return containers.stream()
          .filter(container -> container.pid() == anchorPid)
          .mapToInt(Container::guestPid)
          .findFirst();
    }
  }

  @Override
  public PodMounts mounts() {
    return mounts;
  }

  /** Holds the vCPUs to this share of the host. */
  void cpuShare(CpuShare share) {
    synchronized (cpu) {
      cpuShare = share;
      cpu.limit(share.withOverhead());
    }
  }

  /** Gives more or less to the vCPUs, as much as one of the containers got more or less. */
  void cpuShareOfMember(CpuShare before, CpuShare after) {
    synchronized (cpu) {
      cpuShare(cpuShare.changed(before, after));
    }
  }

  /** A container has come: one without a quota may have all that the vCPUs give. */
  void cpuShareOfNewMember(CpuShare member) {
    synchronized (cpu) {
      cpuShare(cpuShare.withMember(member));
    }
  }

  @Override
  public long toldOffset() {
    return toldOffset;
  }

  /** A guest that does not answer is left alone, and asked again. */
  @Override
  public void tellTime() {
    long offset = GuestClocks.hostOffset();
    try {
      agent.setClock();
      toldOffset = offset;
    } catch (RundException e) {
      log.debug("sandbox {}: cannot set its clock: {}", id, e.getMessage());
    }
  }

  /** What the VM has of the host, in the form of a container's counters. */
  ContainerStats hostStats() {
    VirtualMachine.Usage usage = vm.usage();
    long micros = usage.cpuNanos() / 1000;
    return new ContainerStats(
        new ContainerStats.Cpu(micros, 0, 0, 0, 0, 0),
        new ContainerStats.Memory(usage.memoryBytes(), size.memoryBytes(), 0, 0, -1L, 0),
        Map.of(),
        Map.of(),
        1,
        -1L,
        List.of());
  }

  /** Writes kernel parameters: those of the network when that is there, the others now. */
  void setSysctls(Map<String, String> values) {
    Map<String, String> others = new HashMap<>(values);
    others.keySet().removeIf(name -> name.startsWith("net."));
    if (!others.isEmpty()) {
      agent.setSysctls(others);
    }
    Map<String, String> ofNetwork = new HashMap<>(values);
    ofNetwork.keySet().removeAll(others.keySet());
    network.setSysctls(ofNetwork);
  }

  /** Gives the guest the network that is in the anchor's namespace, at the first call. */
  void attachNetwork(Timeline timeline) {
    network.attach(Path.of("/proc/" + pid() + "/ns/net"), timeline);
  }

  /** Slots of the network cards that the guest has. */
  List<Integer> cards() {
    return network.slots();
  }

  /** The streams of a process of the container that {@code request} made. */
  ProcessIo openIo(CreateRequest request, CreateRequest.StdioPaths stdio) {
    return ProcessIo.open(vm, request.namespace(), request.id(), stdio, nextPort::getAndIncrement);
  }

  String id() {
    return id;
  }

  VirtualMachine vm() {
    return vm;
  }

  GuestAgent agent() {
    return agent;
  }

  Anchor anchor() {
    return anchor;
  }

  PodShares shares() {
    return shares;
  }

  SandboxSize size() {
    return size;
  }

  /** {@code containerId} is that of the container which stands for the sandbox. */
  SandboxFootprint footprint(String namespace, String containerId) {
    List<Integer> anchors;
    synchronized (containers) {
      anchors = containers.stream().map(Container::pid).distinct().toList();
    }
    return new SandboxFootprint(
        namespace,
        containerId,
        size.vcpus(),
        size.memoryBytes(),
        hello.memoryTotalBytes(),
        hello.memoryAvailableBytes(),
        vm.ram(),
        anchors);
  }

  String kernelRelease() {
    return hello.kernelRelease();
  }

  /** The pid of the anchor. */
  @Override
  public int pid() {
    return anchor.pid();
  }

  /** When it returns nothing of the sandbox is left, also if somebody else closes it already. */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      released.join();
      return;
    }
    try (anchor;
        network;
        cpu;
        vm) {
      // The last is closed first, and each whatever becomes of the others.
    } finally {
      released.complete(null);
    }
  }
}
