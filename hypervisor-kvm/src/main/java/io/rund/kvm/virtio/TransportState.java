package io.rund.kvm.virtio;

import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A device that its driver uses, between two requests: what a transport needs to go on with another
 * device of the same kind. What a device knows beyond its queues is not in here.
 *
 * @param kind what the driver found
 * @param status the status register
 * @param features what was negotiated
 * @param queues for each queue where it is; empty for one that the driver did not enable
 */
public record TransportState(Kind kind, int status, long features, List<Optional<Queue>> queues) {
  /** A queue and how far it got. */
  record Queue(Virtqueue.Layout layout, int position) {
    static void write(Queue queue, SnapshotWriter out) {
      out.int32(queue.layout.size());
      out.int64(queue.layout.descriptors());
      out.int64(queue.layout.available());
      out.int64(queue.layout.used());
      out.int32(queue.position);
    }

    static Queue read(SnapshotReader in) {
      return new Queue(
          new Virtqueue.Layout(
              in.int32("the size of a queue"),
              in.int64("a queue"),
              in.int64("a queue"),
              in.int64("a queue")),
          in.int32("the position of a queue", 0, 0xffff));
    }
  }

  /**
   * What a driver sees of a device and keeps in mind.
   *
   * @param config the configuration space, in hexadecimal digits
   */
  record Kind(int type, long features, int maxQueueSize, String config) {
    private static final int LONGEST_CONFIG = 2 * 256;

    static Kind of(VirtioDevice device) {
      byte[] config = device.config().toArray(ValueLayout.JAVA_BYTE);
      return new Kind(
          device.type(),
          device.features(),
          device.maxQueueSize(),
          HexFormat.of().formatHex(config));
    }

    private static Kind read(SnapshotReader in) {
      return new Kind(
          in.int32("the type of a device"),
          in.int64("the features of a device"),
          in.int32("the longest queue of a device"),
          in.text("the configuration of a device", LONGEST_CONFIG));
    }
  }

  /**
   * @param positions of the queues in use that are at rest
   * @throws RundException UNAVAILABLE if one is not
   */
  static TransportState of(
      String name,
      Kind kind,
      int status,
      long features,
      List<QueueRegisters> registers,
      List<OptionalInt> positions) {
    List<Optional<Queue>> queues = new ArrayList<>();
    for (int i = 0; i < registers.size(); i++) {
      if (!registers.get(i).isReady()) {
        queues.add(Optional.empty());
      } else if (positions.get(i).isPresent()) {
        queues.add(Optional.of(new Queue(registers.get(i).layout(), positions.get(i).getAsInt())));
      } else {
        throw RundException.unavailable(name + ": requests are under way", null);
      }
    }
    return new TransportState(kind, status, features, List.copyOf(queues));
  }

  public static void write(TransportState state, SnapshotWriter out) {
    out.int32(state.kind.type);
    out.int64(state.kind.features);
    out.int32(state.kind.maxQueueSize);
    out.text(state.kind.config);
    out.int32(state.status);
    out.int64(state.features);
    out.list(state.queues, (queue, to) -> to.optional(queue, Queue::write));
  }

  /** Whether it suits a device is seen by {@link #check}. */
  public static TransportState read(SnapshotReader in) {
    return new TransportState(
        Kind.read(in),
        in.int32("the status of a device", 0, 0xff),
        in.int64("the features of a driver"),
        in.list(
            "queues",
            VirtioMmioTransport.MAX_QUEUES,
            Integer.BYTES,
            from -> from.optional("a queue", Queue::read)));
  }

  /**
   * That {@code device} can go on from here.
   *
   * @param offered features of the device and its queues
   * @throws RundException FAILED_PRECONDITION if not
   */
  void check(String name, VirtioDevice device, long offered, GuestMemory memory) {
    Kind found = Kind.of(device);
    if (!kind.equals(found) || queues.size() != device.queues()) {
      throw RundException.precondition(
          "%s: the guest knows %s with %d queues, and here is %s with %d"
              .formatted(name, kind, queues.size(), found, device.queues()));
    }
    int inUse = VirtioMmioTransport.DRIVER_OK | VirtioMmioTransport.FEATURES_OK;
    if ((features & ~offered) != 0 || (status & inUse) != inUse) {
      throw RundException.precondition(
          "%s: no driver has negotiated features 0x%x and status 0x%x"
              .formatted(name, features, status));
    }
    try {
      queues.forEach(queue -> queue.ifPresent(q -> q.layout.check(memory, device.maxQueueSize())));
    } catch (GuestFault e) {
      throw RundException.precondition(name + ": " + e.getMessage());
    }
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
