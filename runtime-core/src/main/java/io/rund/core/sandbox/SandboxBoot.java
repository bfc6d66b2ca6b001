package io.rund.core.sandbox;

import io.rund.core.agent.AgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.linux.EventLoop;
import io.rund.core.network.PodNetwork;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/** Makes sandboxes; the same for all of an engine. */
record SandboxBoot(
    Hypervisor hypervisor,
    AgentConnector connector,
    PodNetwork network,
    EventLoop loop,
    CpuGroups cpus,
    RundConfig config) {

  /**
   * Boots a VM up to the agent's first answer. On failure nothing is left of the sandbox.
   *
   * @param prepare gives the VM what it boots with
   */
  Sandbox boot(
      CreateRequest request,
      OciSpec spec,
      SandboxSize size,
      Consumer<VirtualMachine> prepare,
      Timeline timeline) {
    CpuShare share = CpuShare.of(spec);
    // Ids are unique in a containerd namespace; neither name may have a colon.
    String id = request.namespace() + ":" + request.id();
    AnchorStart anchorStart =
        anchor(request.id(), spec, spec.network().orElseGet(NetworkNamespace.Fresh::new), timeline);
    CpuGroup cpu = cpus.take();
    VirtualMachine vm = null;
    try {
      long began = System.nanoTime();
      vm = hypervisor.create(vmConfig(id, size));
      prepare.accept(vm);
      CompletableFuture<GuestAgent> connected = connector.listen(vm);
      timeline.phase("create VM", began);

      long started = System.nanoTime();
      vm.start();
      cpu.enter(vm.vcpuThreads());
      Anchor anchor = anchorStart.get();
      Duration bound = config.bootTimeout();
      GuestAgent agent = awaitAgent(vm, connected, bound);
      long ready = System.nanoTime();
      GuestAgent.Hello hello = agent.hello(spec.hostname().orElseGet(HostName::get), bound);
      bootPhases(timeline, started, ready, hello);
      timeline.phase("agent hello", ready);
      // Not before, since a boot at the pace of a small quota helps nobody.
      Sandbox sandbox = new Sandbox(id, size, vm, anchor, agent, hello, network, cpu);
      sandbox.cpuShare(share);
      return sandbox;
    } catch (Throwable e) {
      try (cpu;
          VirtualMachine _ = vm) {
        // The VM first: its threads are in the cgroup.
      } finally {
        anchorStart.discard();
      }
      throw e;
    }
  }

  /** Begins to start the anchor of a container, in the cgroup of its specification. */
  AnchorStart anchor(String id, OciSpec spec, NetworkNamespace network, Timeline timeline) {
    return AnchorStart.begin(
        () -> {
          long began = System.nanoTime();
          Anchor anchor =
              Anchor.start(
                  loop,
                  config.anchor(),
                  id,
                  network,
                  spec.cgroupsPath().flatMap(Cgroups::directory));
          timeline.phase("anchor", began);
          return anchor;
        });
  }

  private VmConfig vmConfig(String id, SandboxSize size) {
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
              .formatted(Sandbox.describe(vm.exited().join())),
          null);
    }
    return connected.join();
  }

  /** The guest's clock starts with the VM, so its own marks divide the boot. */
  private static void bootPhases(
      Timeline timeline, long started, long ready, GuestAgent.Hello hello) {
    long kernelEnd = Math.min(ready, started + hello.mainNanos());
    timeline.phase("guest kernel", started, kernelEnd);
    timeline.phase("guest agent", kernelEnd, ready);
  }
}
