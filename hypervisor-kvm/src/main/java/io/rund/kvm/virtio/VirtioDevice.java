package io.rund.kvm.virtio;

import io.rund.core.linux.Fd;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * A virtio device as {@link VirtioMmioTransport} sees it. What it offers is constant and may be
 * read on any thread; everything else happens on the VM's event loop, but for what a device does on
 * threads of its own. A device that throws is stopped as if the guest had broken a rule.
 */
public interface VirtioDevice extends AutoCloseable {
  /** Somebody waits for the kicks of a queue until this is closed, on the loop. */
  interface Watch extends AutoCloseable {
    @Override
    void close();
  }

  /** The device id of virtio 1.2, 5: 2 for block, 4 for entropy, 19 for socket. */
  int type();

  /** The device's own feature bits; the transport adds those of the queues and of virtio 1.x. */
  long features();

  /** Number of queues, at most {@link VirtioMmioTransport#MAX_QUEUES}. */
  int queues();

  /** The longest queue the driver may set up: a power of two, at most 32768. */
  int maxQueueSize();

  /** The configuration space, little endian, read-only to the guest. */
  MemorySegment config();

  /**
   * The driver is ready, and waits: what takes a lock of the host's kernel is done here, where it
   * holds up nobody but this guest. On a vCPU's thread, before {@link #activate}.
   *
   * @param features what was negotiated
   */
  default void negotiated(long features) {}

  /**
   * The driver is ready (DRIVER_OK).
   *
   * @param features what was negotiated
   * @param queues one for each of {@link #queues}; those the driver did not enable are for ever
   *     empty
   */
  void activate(long features, List<Virtqueue> queues);

  /**
   * Has threads of the device's own wait for the guest's kicks; empty if the loop is to call {@link
   * #kicked} for them. After {@link #activate}.
   *
   * @param kick the eventfd that counts the kicks of {@code queue}; one may have come already
   */
  default Optional<Watch> watch(int queue, Fd kick) {
    return Optional.empty();
  }

  /** Puts back into its queues what it took in advance, before these are held. */
  default void settle() {}

  /**
   * The guest made buffers available in a queue that the device does not watch itself. Takes a
   * bounded number of them, so that one guest cannot hold the loop, and returns whether it stopped
   * for that bound: then it is called again after the loop's other handlers.
   */
  boolean kicked(int queue);

  /**
   * Stops using the queues, which are already stopped. Runs {@code done} on the loop once nothing
   * touches guest memory any more. May be called without {@link #activate} before, and repeatedly.
   */
  void reset(Runnable done);

  /** Releases what the device holds, on any thread, after the last {@link #reset} is done. */
  @Override
  void close();
}
