package io.rund.kvm;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.sys.VcpuState;
import io.rund.kvm.sys.VmState;
import io.rund.kvm.virtio.BalloonDevice;
import io.rund.kvm.virtio.DeviceHold;
import io.rund.kvm.virtio.TransportState;
import io.rund.kvm.virtio.fs.FsDevice;
import io.rund.kvm.virtio.fs.FsDeviceState;
import io.rund.kvm.virtio.vsock.ConnectionState;
import io.rund.kvm.virtio.vsock.VsockDevice;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * A machine that stands still: its vCPUs are paused and its devices held, so that nothing changes
 * in it until {@link #close}. No request is under way then, so that the state of a device is that
 * of its queues and, for shared folders, what the guest knows of them.
 */
final class Capture implements AutoCloseable {
  /** Requests end within milliseconds; in a slow emulation it takes longer. */
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private static final Duration INTERVAL = Duration.ofMillis(20);

  /**
   * How long a new guest has to begin to report what it does not use: two seconds are Linux's
   * (PAGE_REPORTING_DELAY in mm/page_reporting.c), and one with little memory never does.
   */
  private static final Duration UNTIL_REPORTED = Duration.ofSeconds(10);

  /** Its reports follow each other within milliseconds. */
  private static final Duration AFTER_REPORTS = Duration.ofMillis(500);

  private final Machine machine;
  private final EventLoop loop;
  private final List<DeviceHold> devices;

  private final List<VcpuState> vcpus;
  private final VmState vm;
  private final Held held;
  private final FsDeviceState shares;

  /** What is taken on the loop. */
  private record Held(List<Optional<TransportState>> slots, Optional<ConnectionState> agent) {}

  /** The devices with a state of their own. */
  record Devices(VsockDevice vsock, FsDevice shares, BalloonDevice balloon) {}

  private Capture(String id, Machine machine, EventLoop loop, Devices own, boolean untouched) {
    this.machine = machine;
    this.loop = loop;
    machine.vcpus().pause();
    List<DeviceHold> holds = List.of();
    try {
      vcpus = machine.vcpuStates();
      if (untouched && !vcpus.stream().allMatch(VcpuState::isIdle)) {
        throw RundException.unavailable("the guest of " + id + " does not come to rest", null);
      }
      holds = machine.devices();
      held = hold(id, holds, own, untouched);
      shares = own.shares.state();
      vm = machine.vmState();
    } catch (Throwable e) {
      letGo(holds);
      throw e;
    }
    devices = holds;
  }

  /**
   * Stops a machine as soon as it has no request under way.
   *
   * @param untouched whether to wait until its vCPUs halt, all its free memory has been reported,
   *     which else each clone would do anew, and its one connection has been made and not used:
   *     then that connection is in the state
   * @throws RundException UNAVAILABLE if it does not come to rest; it runs on then
   */
  static Capture of(String id, Machine machine, EventLoop loop, Devices own, boolean untouched) {
    if (untouched) {
      awaitReports(own.balloon);
    }
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      try {
        return new Capture(id, machine, loop, own, untouched);
      } catch (RundException e) {
        if (e.code() != ErrorCode.UNAVAILABLE || System.nanoTime() > deadline) {
          throw e;
        }
      }
      sleep();
    }
  }

  private static void awaitReports(BalloonDevice balloon) {
    long deadline = System.nanoTime() + UNTIL_REPORTED.toNanos();
    while (!balloon.hasReported(AFTER_REPORTS) && System.nanoTime() < deadline) {
      sleep();
    }
  }

  /** All at one moment of the loop, so that no device is further than another. */
  private Held hold(String id, List<DeviceHold> holds, Devices own, boolean untouched) {
    try {
      return CompletableFuture.supplyAsync(
              () ->
                  new Held(
                      holds.stream().map(DeviceHold::hold).toList(),
                      untouched ? Optional.of(connection(own.vsock)) : Optional.empty()),
              loop)
          .join();
    } catch (CompletionException e) {
      throw RundException.unavailable(
          "the devices of %s are not at rest: %s".formatted(id, e.getCause().getMessage()), e);
    }
  }

  private static ConnectionState connection(VsockDevice vsock) {
    return vsock
        .state()
        .orElseThrow(() -> RundException.unavailable("the agent has not connected", null));
  }

  /** Copies the RAM. What was plugged is left out: the guest will find its slots empty. */
  MachineState state() {
    List<Optional<TransportState>> slots = new ArrayList<>(held.slots);
    Collections.fill(slots.subList(KvmVirtualMachine.FIXED_SLOTS, slots.size()), Optional.empty());
    return new MachineState(
        vcpus,
        vm,
        List.copyOf(slots),
        held.agent,
        shares,
        machine.memory().toTemplate("rund-template"));
  }

  private void letGo(List<DeviceHold> holds) {
    CompletableFuture.runAsync(() -> holds.forEach(DeviceHold::letGo), loop).join();
    machine.vcpus().resume();
  }

  /** The machine goes on. */
  @Override
  public void close() {
    letGo(devices);
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
