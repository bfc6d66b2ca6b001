package io.rund.core.sandbox;

import io.rund.core.agent.AgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/**
 * Brings a guest to its agent's first answer: by booting, or as a clone of one that has booted.
 *
 * @param bound how long a guest may take for that
 */
record GuestStart(Hypervisor hypervisor, AgentConnector connector, Duration bound) {
  /** A VM whose agent has answered; the caller closes it. */
  record Started(VirtualMachine vm, GuestAgent agent, GuestAgent.Hello hello) {}

  /** What there is to do when the agent has connected, before the VM is anybody's. */
  private interface Arrival<T> {
    T arrived(VirtualMachine vm, CompletableFuture<GuestAgent> connected);
  }

  /**
   * @param prepare gives the VM what it boots with
   */
  Started boot(
      VmConfig config, String hostname, Consumer<VirtualMachine> prepare, Timeline timeline) {
    long began = System.nanoTime();
    return with(
        hypervisor.create(config),
        (vm, connected) -> {
          prepare.accept(vm);
          timeline.phase("create VM", began);
          long started = System.nanoTime();
          vm.start();
          GuestAgent agent = awaitAgent(vm, connected);
          long ready = System.nanoTime();
          GuestAgent.Hello hello = agent.hello(hostname, bound);
          // The guest's clock starts with the VM, so its own marks divide the boot.
          long kernelEnd = Math.min(ready, started + hello.mainNanos());
          timeline.phase("guest kernel", started, kernelEnd);
          timeline.phase("guest agent", kernelEnd, ready);
          timeline.phase("agent hello", ready);
          return new Started(vm, agent, hello);
        });
  }

  /**
   * Its agent's first answer says that it works, and that it has an identity of its own.
   *
   * @param prepare gives the VM what the template had when it was taken
   */
  Started clone(
      VmTemplate template,
      String id,
      String hostname,
      Consumer<VirtualMachine> prepare,
      Timeline timeline) {
    long began = System.nanoTime();
    return with(
        template.clone(id),
        (vm, connected) -> {
          prepare.accept(vm);
          timeline.phase("clone VM", began);
          long started = System.nanoTime();
          vm.start();
          GuestAgent agent = awaitAgent(vm, connected);
          timeline.phase("resume guest", started);
          long ready = System.nanoTime();
          GuestAgent.Hello hello = agent.hello(hostname, bound);
          timeline.phase("agent hello", ready);
          return new Started(vm, agent, hello);
        });
  }

  /** Boots a guest that nobody ever speaks to. */
  VmTemplate template(VmConfig config) {
    return with(
        hypervisor.create(config),
        (vm, connected) -> {
          vm.start();
          GuestAgent _ = awaitAgent(vm, connected);
          VmTemplate template = vm.template();
          vm.close();
          return template;
        });
  }

  /** Reads a template that was written by this engine or another one. */
  VmTemplate load(VmConfig config, FileChannel file, Timeline timeline) throws IOException {
    long began = System.nanoTime();
    try {
      return hypervisor.load(config, file);
    } finally {
      timeline.phase("load template", began);
    }
  }

  private <T> T with(VirtualMachine vm, Arrival<T> arrival) {
    try {
      return arrival.arrived(vm, connector.listen(vm));
    } catch (Throwable e) {
      vm.close();
      throw e;
    }
  }

  private GuestAgent awaitAgent(VirtualMachine vm, CompletableFuture<GuestAgent> connected) {
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
}
