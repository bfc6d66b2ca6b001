package io.rund.kvm.virtio;

import io.rund.core.error.RundException;
import java.util.List;
import java.util.Optional;

/**
 * A slot of a VM whose vCPUs are paused, while its state is taken. Between {@link #hold} and {@link
 * #letGo} its device touches no guest memory, whoever has something for it. Both on the VM's loop.
 */
public final class DeviceHold {
  private final Optional<InUse> device;

  /** A device and what its driver has negotiated. */
  record InUse(
      String name,
      TransportState.Kind kind,
      int status,
      long features,
      List<QueueRegisters> queues,
      ActiveDevice active) {}

  /**
   * @param device empty if no driver uses the slot
   */
  DeviceHold(Optional<InUse> device) {
    this.device = device;
  }

  /**
   * Holds the device.
   *
   * @return what another device of its kind needs to go on; empty for a slot without one
   * @throws RundException UNAVAILABLE if requests are under way; {@link #letGo} is due all the same
   */
  public Optional<TransportState> hold() {
    return device.map(
        in ->
            TransportState.of(
                in.name, in.kind, in.status, in.features, in.queues, in.active.hold()));
  }

  /** The device goes on with what has come meanwhile. */
  public void letGo() {
    device.ifPresent(in -> in.active.letGo());
  }
}
