package io.rund.core.sandbox;

import io.rund.core.agent.AgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmExit;
import io.rund.core.linux.EventLoop;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A VM whose agent answers, and the anchor that stands for it among the host's processes. Ends as a
 * whole: when the VM, the agent or the anchor goes, the others go too.
 */
final class Sandbox implements AutoCloseable {
  static final Logger log = LoggerFactory.getLogger(Sandbox.class);

  private static final int FIRST_STREAM_PORT = 0x10000;

  /** What a sandbox is made with; the same for all of an engine. */
  record Factory(
      Hypervisor hypervisor, AgentConnector connector, EventLoop loop, RundConfig config) {}

  private final String id;
  private final SandboxSize size;
  private final VirtualMachine vm;
  private final Anchor anchor;
  private final GuestAgent agent;
  private final GuestAgent.Hello hello;
  private final AtomicInteger nextPort = new AtomicInteger(FIRST_STREAM_PORT);
  private final AtomicBoolean closed = new AtomicBoolean();

  private Sandbox(
      String id,
      SandboxSize size,
      VirtualMachine vm,
      Anchor anchor,
      GuestAgent agent,
      GuestAgent.Hello hello) {
    this.id = id;
    this.size = size;
    this.vm = vm;
    this.anchor = anchor;
    this.agent = agent;
    this.hello = hello;
  }

  /**
   * Boots a VM of the right size with the container's files and disks, up to the agent's first
   * answer. On failure nothing is left of the sandbox.
   */
  static Sandbox boot(
      Factory factory, CreateRequest request, OciSpec spec, HostFiles files, Timeline timeline) {
    SandboxSize size = SandboxSize.of(spec, factory.config());
    // The anchor is another process's start: it runs while this thread makes the VM.
    CompletableFuture<Anchor> anchorStart =
        CompletableFuture.supplyAsync(
            () -> startAnchor(factory, request.id(), spec, timeline), Thread::startVirtualThread);
    VirtualMachine vm = null;
    try {
      long began = System.nanoTime();
      vm = factory.hypervisor().create(vmConfig(factory.config(), request.id(), size));
      files.giveTo(vm);
      CompletableFuture<GuestAgent> connected = factory.connector().listen(vm);
      timeline.phase("create VM", began);

      long started = System.nanoTime();
      vm.start();
      Anchor anchor = get(anchorStart);
      Duration bound = factory.config().bootTimeout();
      GuestAgent agent = awaitAgent(vm, connected, bound);
      long ready = System.nanoTime();
      GuestAgent.Hello hello = agent.hello(spec.hostname().orElseGet(HostName::get), bound);
      bootPhases(timeline, started, ready, hello);
      timeline.phase("agent hello", ready);
      return new Sandbox(request.id(), size, vm, anchor, agent, hello);
    } catch (RuntimeException e) {
      if (vm != null) {
        vm.close();
      }
      anchorStart.thenAccept(Anchor::close).exceptionally(failure -> null).join();
      throw e;
    }
  }

  private static Anchor startAnchor(Factory factory, String id, OciSpec spec, Timeline timeline) {
    long began = System.nanoTime();
    NetworkNamespace network = spec.network().orElseGet(NetworkNamespace.Fresh::new);
    Anchor anchor =
        Anchor.start(
            factory.loop(),
            factory.config().anchor(),
            id,
            network,
            spec.cgroupsPath().flatMap(Cgroups::directory));
    timeline.phase("anchor", began);
    return anchor;
  }

  private static VmConfig vmConfig(RundConfig config, String id, SandboxSize size) {
    Optional<Path> console =
        config.debugConsole()
            ? Optional.of(config.stateDir().resolve(id + "-console.log"))
            : Optional.empty();
    return new VmConfig(
        id,
        size.vcpus(),
        size.memoryBytes(),
        config.kernel(),
        config.initramfs(),
        "",
        config.slots(),
        console);
  }

  private static GuestAgent awaitAgent(
      VirtualMachine vm, CompletableFuture<GuestAgent> connected, Duration bound) {
    try {
      var _ =
          CompletableFuture.anyOf(connected, vm.exited())
              .get(bound.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw new RundException(
          ErrorCode.DEADLINE_EXCEEDED,
          "the guest did not boot within %d s (boot_timeout): set debug_console = true to see how far it comes"
              .formatted(bound.toSeconds()),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while the guest booted", e);
    } catch (ExecutionException e) {
      throw RundException.internal("waiting for the guest: " + e.getCause(), e);
    }
    if (!connected.isDone()) {
      throw RundException.unavailable(
          "the guest ended before its agent answered: %s; set debug_console = true to see why"
              .formatted(describe(vm.exited().join())),
          null);
    }
    return connected.join();
  }

  private static <T> T get(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RundException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private static String describe(VmExit exit) {
    return switch (exit) {
      case VmExit.GuestShutdown(String lastWords) ->
          lastWords.isEmpty()
              ? "it reset itself without a word"
              : "it reset itself and said:\n" + lastWords;
      case VmExit.Closed c -> "it was closed";
      case VmExit.Failed f -> f.reason();
    };
  }

  /** The guest's clock starts with the VM, so its own marks divide the boot. */
  private static void bootPhases(
      Timeline timeline, long started, long ready, GuestAgent.Hello hello) {
    long kernelEnd = Math.min(ready, started + hello.mainNanos());
    timeline.phase("guest kernel", started, kernelEnd);
    timeline.phase("guest agent", kernelEnd, ready);
  }

  /**
   * Calls {@code died} once, on a thread of its own, when the sandbox ends without {@link #close}.
   */
  void onDeath(Runnable died) {
    var _ =
        CompletableFuture.anyOf(
                vm.exited().thenApply(Sandbox::describe),
                agent.closed().thenApply(v -> "its agent closed the connection"),
                anchor.exited().thenApply(v -> "its anchor, pid " + anchor.pid() + ", was ended"))
            .thenAcceptAsync(
                reason -> {
                  if (!closed.get()) {
                    log.warn("sandbox {} ended: {}", id, reason);
                    died.run();
                  }
                },
                Thread::startVirtualThread);
  }

  /** A vsock port of the host that nothing of this sandbox has used. */
  int nextPort() {
    return nextPort.getAndIncrement();
  }

  VirtualMachine vm() {
    return vm;
  }

  GuestAgent agent() {
    return agent;
  }

  SandboxSize size() {
    return size;
  }

  String kernelRelease() {
    return hello.kernelRelease();
  }

  int pid() {
    return anchor.pid();
  }

  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      vm.close();
      anchor.close();
    }
  }
}
