package io.rund.kvm.virtio;

import io.rund.core.error.RundException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A device that its driver uses, between two requests: what a transport needs to go on with another
 * device of the same kind. What a device knows beyond its queues is not in here.
 *
 * @param status the status register
 * @param features what was negotiated
 * @param queues for each queue where it is; empty for one that the driver did not enable
 */
public record TransportState(int status, long features, List<Optional<Queue>> queues) {
  /** A queue and how far it got. */
  record Queue(Virtqueue.Layout layout, int position) {}

  /**
   * @param positions of the queues in use that are at rest
   * @throws RundException UNAVAILABLE if one is not
   */
  static TransportState of(
      String name,
      int status,
      long features,
      QueueRegisters[] registers,
      List<OptionalInt> positions) {
    List<Optional<Queue>> queues = new ArrayList<>();
    for (int i = 0; i < registers.length; i++) {
      if (!registers[i].isReady()) {
        queues.add(Optional.empty());
      } else if (positions.get(i).isPresent()) {
        queues.add(Optional.of(new Queue(registers[i].layout(), positions.get(i).getAsInt())));
      } else {
        throw RundException.unavailable(name + ": requests are under way", null);
      }
    }
    return new TransportState(status, features, List.copyOf(queues));
  }

  QueueRegisters[] registers() {
    return queues.stream()
        .map(queue -> queue.map(q -> QueueRegisters.inUse(q.layout())))
        .map(registers -> registers.orElseGet(QueueRegisters::new))
        .toArray(QueueRegisters[]::new);
  }

  /** Lets {@code queue}, the i-th, go on where it was. */
  Virtqueue position(int i, Virtqueue queue) {
    queues.get(i).ifPresent(state -> queue.position(state.position()));
    return queue;
  }
}
