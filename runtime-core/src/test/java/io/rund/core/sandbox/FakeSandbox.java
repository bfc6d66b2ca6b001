package io.rund.core.sandbox;

import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** A VM without a CPU and an agent without a guest: does what a test tells it. */
final class FakeSandbox implements VirtualMachine, GuestAgent {
  private final EventLoop loop;
  private final CompletableFuture<VmExit> exited = new CompletableFuture<>();
  private final CompletableFuture<Void> agentClosed = new CompletableFuture<>();
  private final Map<ProcessKey, CompletableFuture<ExitStatus>> exits = new ConcurrentHashMap<>();

  /** Thrown by the agent's next start, if set. */
  volatile RundException startFailure;

  /** Thrown by the agent's createContainer, if set. */
  volatile RundException createFailure;

  /** Whether the process ends before the agent has answered the start. */
  volatile boolean endsAtOnce;

  volatile boolean closed;

  /** What the agent was told to create. */
  volatile String createdSpec;

  volatile Rootfs createdRootfs;
  final List<DiskConfig> disks = new CopyOnWriteArrayList<>();
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

  void vmFails(String reason) {
    exited.complete(new VmExit.Failed(reason));
  }

  @Override
  public EventLoop loop() {
    return loop;
  }

  @Override
  public AutoCloseable listen(int port, int limit, Consumer<VsockStream> onAccept) {
    return () -> {};
  }

  @Override
  public int plug(DiskConfig disk) {
    disks.add(disk);
    return 2 + disks.size();
  }

  @Override
  public void unplug(int slot) {}

  @Override
  public void share(Share share) {
    shares.add(share.name() + (share.readOnly() ? " ro " : " rw ") + share.cache());
    open.put(share.name(), share);
  }

  @Override
  public void unshare(String name) {}

  /** A shared directory, as the guest would come to it. */
  Path shared(String name) {
    return Path.of("/proc/self/fd/" + open.get(name).root().number());
  }

  @Override
  public void start() {}

  @Override
  public void pause() {}

  @Override
  public void resume() {}

  @Override
  public CompletableFuture<VmExit> exited() {
    return exited;
  }

  @Override
  public void close() {
    closed = true;
    open.values().forEach(share -> share.root().close());
    exited.complete(new VmExit.Closed());
    agentClosed.complete(null);
  }

  @Override
  public Hello hello(String hostname, Duration timeout) {
    return new Hello("test", "6.12.0-test", 1, 2, 1 << 20, 1 << 19, 1);
  }

  @Override
  public void createContainer(
      String containerId, byte[] specJson, Rootfs rootfs, List<String> shares, StdioPorts stdio) {
    createdSpec = new String(specJson, StandardCharsets.UTF_8);
    createdRootfs = rootfs;
    if (createFailure != null) {
      throw createFailure;
    }
  }

  @Override
  public void createExec(ProcessKey exec, byte[] processJson, StdioPorts stdio) {}

  @Override
  public void start(ProcessKey process) {
    if (startFailure != null) {
      throw startFailure;
    }
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
    end(process.containerId(), process.execId(), 128 + signal);
  }

  @Override
  public void resizeTerminal(ProcessKey process, int rows, int columns) {}

  @Override
  public void delete(ProcessKey process) {}

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
  public void unbindSlot(int slot) {}

  @Override
  public CompletableFuture<Void> closed() {
    return agentClosed;
  }
}
