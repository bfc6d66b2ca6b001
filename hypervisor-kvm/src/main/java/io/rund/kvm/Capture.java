package io.rund.kvm;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.virtio.TransportState;
import io.rund.kvm.virtio.vsock.ConnectionState;
import io.rund.kvm.virtio.vsock.VsockDevice;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * Takes the state of a machine whose guest waits for its engine's first word. Nothing of it is in
 * flight then: vCPUs halt, queues are at rest, the one connection has been made and not used.
 */
final class Capture {
  /** A guest is at rest within milliseconds; in a slow emulation it takes longer. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private static final Duration INTERVAL = Duration.ofMillis(20);

  private final String id;
  private final Machine machine;
  private final EventLoop loop;
  private final VsockDevice vsock;

  Capture(String id, Machine machine, EventLoop loop, VsockDevice vsock) {
    this.id = id;
    this.machine = machine;
    this.loop = loop;
    this.vsock = vsock;
  }

  private record Devices(List<Optional<TransportState>> slots, ConnectionState agent) {}

  /**
   * The vCPUs stay paused.
   *
   * @throws RundException UNAVAILABLE if the guest does not come to rest
   */
  MachineState take() {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      machine.vcpus().pause();
      try {
        return state();
      } catch (RundException e) {
        if (e.code() != ErrorCode.UNAVAILABLE || System.nanoTime() > deadline) {
          throw e;
        }
      }
      machine.vcpus().resume();
      sleep();
    }
  }

  /**
   * @throws RundException UNAVAILABLE if the guest is at work, be it that its vCPUs wait for a
   *     device
   */
  private MachineState state() {
    List<VcpuState> vcpus =
        machine
            .idleVcpus()
            .orElseThrow(
                () ->
                    RundException.unavailable(
                        "the guest of " + id + " does not come to rest", null));
    Devices devices = devices();
    return new MachineState(
        vcpus,
        machine.vmState(),
        devices.slots(),
        devices.agent(),
        machine.memory().toTemplate("rund-template"));
  }

  /** All at one moment of the loop, so that no device is further than another. */
  private Devices devices() {
    List<Supplier<Optional<TransportState>>> slots = machine.deviceStates();
    CompletableFuture<Devices> devices = new CompletableFuture<>();
    loop.execute(
        () -> {
          try {
            devices.complete(
                new Devices(
                    slots.stream().map(Supplier::get).toList(),
                    vsock
                        .state()
                        .orElseThrow(
                            () -> RundException.unavailable("the agent has not connected", null))));
          } catch (RuntimeException e) {
            devices.completeExceptionally(e);
          }
        });
    try {
      return devices.join();
    } catch (CompletionException e) {
      throw RundException.unavailable(
          "the devices of %s are not at rest: %s".formatted(id, e.getCause().getMessage()), e);
    }
  }

  private static void sleep() {
    try {
      Thread.sleep(INTERVAL);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while a guest came to rest", e);
    }
  }
}
