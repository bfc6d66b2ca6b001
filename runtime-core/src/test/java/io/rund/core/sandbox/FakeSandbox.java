package io.rund.core.sandbox;

import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.AddressRange;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/** A VM without a CPU and an agent without a guest: does what a test tells it. */
final class FakeSandbox implements VirtualMachine, GuestAgent {
  private final EventLoop loop;
  private final CompletableFuture<VmExit> exited = new CompletableFuture<>();
  private final CompletableFuture<Void> agentClosed = new CompletableFuture<>();
  private final Map<ProcessKey, CompletableFuture<ExitStatus>> exits = new ConcurrentHashMap<>();

  /** Thrown by the agent's next start, if set. */
  volatile RundException startFailure;

  /** Thrown by the agent's signal, if set. */
  volatile RundException signalFailure;

  /** Thrown by the agent's createContainer, if set. */
  volatile RundException createFailure;

  /** How often the agent refuses to delete a container, since an exec is just starting. */
  final AtomicInteger busy = new AtomicInteger();

  /** What the agent does before it answers a start. */
  volatile Runnable onStart = () -> {};

  /** Whether the process ends before the agent has answered the start. */
  volatile boolean endsAtOnce;

  volatile boolean closed;

  /** What a close waits for. */
  volatile CompletableFuture<Void> mayClose = CompletableFuture.completedFuture(null);

  /** Thrown by the agent's hello, if set. */
  volatile RundException helloFailure;

  /** What it gives when it is asked for its template, and whether it was. */
  Optional<VmTemplate> template = Optional.empty();

  volatile boolean captured;

  /** What the agent was told to create. */
  volatile String createdSpec;

  volatile Rootfs createdRootfs;
  volatile List<SharedMemory> sharedMemories = List.of();
  final Set<String> inGuest = ConcurrentHashMap.newKeySet();
  final Map<String, String> sysctls = new ConcurrentHashMap<>();
  Runnable onSysctls = () -> {};
  final List<String> updates = new CopyOnWriteArrayList<>();
  final List<Integer> unplugged = new CopyOnWriteArrayList<>();
  final Map<String, CompletableFuture<Long>> ooms = new ConcurrentHashMap<>();
  final List<DiskConfig> disks = new CopyOnWriteArrayList<>();

  /** What the agent does when it is told to forward a port. */
  volatile BiConsumer<Integer, Integer> onForward = (port, vsockPort) -> {};

  /** Port and vsock port of the last one. */
  volatile String forwarded = "";

  private final Map<Integer, Consumer<VsockStream>> listeners = new ConcurrentHashMap<>();

  /** Thrown when a card is plugged, if set. */
  volatile RuntimeException nicFailure;

  /** Thrown by the agent's configureNetwork, if set. */
  volatile RundException networkFailure;

  /** Slot and name of the interfaces that the agent was told to set up. */
  final List<String> configured = new CopyOnWriteArrayList<>();

  final List<String> nics = new CopyOnWriteArrayList<>();
  final List<String> shares = new CopyOnWriteArrayList<>();
  private final Map<String, Share> open = new ConcurrentHashMap<>();

  FakeSandbox(EventLoop loop) {
    this.loop = loop;
  }

  void end(String containerId, String execId, int status) {
    exits
        .computeIfAbsent(new ProcessKey(containerId, execId), key -> new CompletableFuture<>())
        .complete(new ExitStatus(status, 42));
  }

  /** A container of this name may come again. */
  void forget(String containerId) {
    exits.remove(ProcessKey.init(containerId));
  }

  /** The agent answers that it does not know how a process ends. */
  void loseTrackOf(String containerId, String execId) {
    exits
        .computeIfAbsent(new ProcessKey(containerId, execId), key -> new CompletableFuture<>())
        .completeExceptionally(RundException.internal("no such process", null));
  }

  void vmFails(String reason) {
    exited.complete(new VmExit.Failed(reason));
  }

  @Override
  public EventLoop loop() {
    return loop;
  }

  @Override
  public AutoCloseable listen(int port, int limit, Consumer<VsockStream> onAccept) {
    listeners.put(port, onAccept);
    return () -> listeners.remove(port, onAccept);
  }

  @Override
  public int plug(DiskConfig disk) {
    disks.add(disk);
    return 2 + disks.size();
  }

  @Override
  public int plug(NicConfig nic) {
    nic.tap().close();
    if (nicFailure != null) {
      throw nicFailure;
    }
    nics.add(nic.name());
    return 10 + nics.size();
  }

  @Override
  public void unplug(int slot) {
    unplugged.add(slot);
  }

  @Override
  public void share(Share share) {
    shares.add(share.name() + (share.readOnly() ? " ro " : " rw ") + share.cache());
    open.put(share.name(), share);
  }

  @Override
  public void unshare(String name) {
    Share share = open.remove(name);
    if (share != null) {
      share.root().close();
    }
  }

  /** Names of the shares that the guest sees. */
  Set<String> openShares() {
    return Set.copyOf(open.keySet());
  }

  /** A shared directory, as the guest would come to it. */
  Path shared(String name) {
    return Path.of("/proc/self/fd/" + open.get(name).root().number());
  }

  @Override
  public List<AddressRange> ram() {
    return List.of(new AddressRange(0x1000, 0x3000));
  }

  @Override
  public void start() {}

  @Override
  public void pause() {}

  @Override
  public void resume() {}

  @Override
  public List<Integer> vcpuThreads() {
    return List.of();
  }

  @Override
  public void beginsToWork() {}

  @Override
  public Usage usage() {
    return new Usage(3_000_000, 5 << 20);
  }

  @Override
  public VmTemplate template() {
    captured = true;
    return template.orElseThrow();
  }

  @Override
  public VmTemplate snapshot(Runnable meanwhile) {
    meanwhile.run();
    return template();
  }

  @Override
  public CompletableFuture<VmExit> exited() {
    return exited;
  }

  @Override
  public void close() {
    mayClose.join();
    closed = true;
    open.values().forEach(share -> share.root().close());
    exited.complete(new VmExit.Closed());
    agentClosed.complete(null);
  }

  @Override
  public Hello hello(String hostname, Duration timeout) {
    if (helloFailure != null) {
      throw helloFailure;
    }
    return new Hello("test", "6.12.0-test", 1, 2, 1 << 20, 1 << 19, 1);
  }

  @Override
  public int createContainer(ContainerConfig config, byte[] specJson) {
    createdSpec = new String(specJson, StandardCharsets.UTF_8);
    createdRootfs = config.rootfs();
    sharedMemories = config.sharedMemories();
    if (createFailure != null) {
      throw createFailure;
    }
    inGuest.add(config.id());
    return 100 + inGuest.size();
  }

  @Override
  public void setClock() {}

  @Override
  public void setSysctls(Map<String, String> values) {
    onSysctls.run();
    sysctls.putAll(values);
  }

  @Override
  public void adopt(String containerId, StdioPorts stdio) {}

  @Override
  public int sharedPidNamespace() {
    return 77;
  }

  @Override
  public void update(String containerId, byte[] resourcesJson) {
    updates.add(containerId + " " + new String(resourcesJson, StandardCharsets.UTF_8));
  }

  @Override
  public CompletableFuture<Long> oomKills(String containerId, long seen) {
    return seen == 0
        ? ooms.computeIfAbsent(containerId, key -> new CompletableFuture<>())
        : new CompletableFuture<>();
  }

  @Override
  public void createExec(ProcessKey exec, byte[] processJson, StdioPorts stdio) {}

  @Override
  public void start(ProcessKey process) {
    if (startFailure != null) {
      throw startFailure;
    }
    onStart.run();
    if (endsAtOnce) {
      end(process.containerId(), process.execId(), 3);
    }
  }

  @Override
  public CompletableFuture<ExitStatus> exit(ProcessKey process) {
    return exits.computeIfAbsent(process, key -> new CompletableFuture<>());
  }

  @Override
  public void signal(ProcessKey process, int signal, boolean all) {
    if (signalFailure != null) {
      throw signalFailure;
    }
    if (!inGuest.contains(process.containerId())) {
      throw RundException.notFound("no such container");
    }
    end(process.containerId(), process.execId(), 128 + signal);
  }

  @Override
  public void resizeTerminal(ProcessKey process, int rows, int columns) {}

  @Override
  public void delete(ProcessKey process) {
    if (process.execId().isEmpty()) {
      if (!exit(process).isDone()) {
        throw RundException.precondition("the init is still running");
      }
      if (busy.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
        throw RundException.precondition("an exec is just starting");
      }
      inGuest.remove(process.containerId());
    }
  }

  @Override
  public void pause(String containerId) {}

  @Override
  public void resume(String containerId) {}

  @Override
  public ContainerStats stats(String containerId) {
    throw RundException.notFound("no stats");
  }

  @Override
  public DiskNumber bindSlot(int slot) {
    return new DiskNumber(254, 16 * slot);
  }

  @Override
  public void forwardPort(int port, int vsockPort) {
    forwarded = port + " " + vsockPort;
    onForward.accept(port, vsockPort);
  }

  /** As if the guest had connected to a port of the host; waits until it is accepted. */
  void accept(int port, VsockStream stream) {
    CompletableFuture<Void> accepted = new CompletableFuture<>();
    loop.execute(
        () -> {
          listeners.get(port).accept(stream);
          accepted.complete(null);
        });
    accepted.join();
  }

  @Override
  public void configureNetwork(List<GuestInterface> interfaces) {
    if (networkFailure != null) {
      throw networkFailure;
    }
    interfaces.forEach(each -> configured.add(each.slot() + " " + each.config().name()));
  }

  @Override
  public void unbindSlot(int slot) {}

  @Override
  public CompletableFuture<Void> closed() {
    return agentClosed;
  }
}
