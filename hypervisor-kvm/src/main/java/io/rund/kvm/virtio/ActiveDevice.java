package io.rund.kvm.virtio;

import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestFault;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A device from DRIVER_OK to its reset: its queues and the kicks that reach it. Belongs to the
 * event loop. Whatever goes wrong in it, by the guest's fault or the device's own, ends here,
 * whatever thread finds it.
 */
final class ActiveDevice {
  private static final Logger log = LoggerFactory.getLogger(ActiveDevice.class);

  private final EventLoop loop;
  private final VirtioDevice device;
  private final List<Virtqueue> queues;
  private final List<Fd> kicks;
  private final Consumer<String> onFault;
  private final List<VirtioDevice.Watch> watches = new ArrayList<>();
  private final MemorySegment counter = Arena.ofAuto().allocate(Long.BYTES, Long.BYTES);
  private final AtomicBoolean broken = new AtomicBoolean();

  /** Makes the queues of a device. */
  interface QueueFactory {
    /**
     * The i-th queue.
     *
     * @param onFault what the queue calls when the guest broke a rule in it
     */
    Virtqueue make(int i, Consumer<String> onFault);
  }

  /**
   * @param kicks an eventfd for each queue
   * @param onFault told at most once, when the device has been stopped before its time
   */
  ActiveDevice(
      EventLoop loop,
      VirtioDevice device,
      List<Fd> kicks,
      QueueFactory factory,
      Consumer<String> onFault) {
    this.loop = loop;
    this.device = device;
    this.kicks = kicks;
    this.onFault = onFault;
    List<Virtqueue> made = new ArrayList<>();
    for (int i = 0; i < kicks.size(); i++) {
      String queue = "queue " + i + ": ";
      made.add(factory.make(i, reason -> fault(queue + reason)));
    }
    queues = List.copyOf(made);
  }

  /**
   * Holds all queues that are at rest.
   *
   * @return where they are; empty for one that is not, or that the driver did not enable
   */
  List<OptionalInt> hold() {
    device.settle();
    return queues.stream().map(Virtqueue::hold).toList();
  }

  /** Goes on after {@link #hold}. */
  void letGo() {
    queues.forEach(Virtqueue::letGo);
    kickAll();
  }

  /** Goes on with queues of which a driver may have kicked any. */
  void resume(long features) {
    start(features);
    kickAll();
  }

  private void kickAll() {
    counter.set(ValueLayout.JAVA_LONG, 0, 1);
    for (int i = 0; i < watches.size(); i++) {
      long _ = Libc.Try.write(kicks.get(i).number(), counter.address(), Long.BYTES);
    }
  }

  void start(long features) {
    try {
      device.activate(features, queues);
      for (int i = 0; i < kicks.size(); i++) {
        watches.add(watch(i, kicks.get(i)));
      }
    } catch (RuntimeException e) {
      failed(e);
    }
  }

  private VirtioDevice.Watch watch(int queue, Fd kick) {
    return device
        .watch(queue, kick)
        .orElseGet(() -> loop.register(kick.number(), Linux.EPOLLIN, new Kick(queue, kick))::close);
  }

  /** Runs {@code done} when nothing touches guest memory any more. May be called repeatedly. */
  void stop(Runnable done) {
    watches.forEach(VirtioDevice.Watch::close);
    watches.clear();
    queues.forEach(Virtqueue::stop);
    device.reset(done);
  }

  private void fault(String reason) {
    if (broken.getAndSet(true)) {
      return;
    }
    queues.forEach(Virtqueue::stop);
    // Later, since the device is in the middle of something.
    loop.execute(() -> stop(() -> {}));
    onFault.accept(reason);
  }

  private void failed(RuntimeException e) {
    log.error("virtio device of type {} failed", device.type(), e);
    fault("device failed: " + e);
  }

  /** Kicks of one queue. */
  private final class Kick implements EventLoop.Handler {
    private final int queue;
    private final Fd fd;

    Kick(int queue, Fd fd) {
      this.queue = queue;
      this.fd = fd;
    }

    @Override
    public void ready(int events) {
      long _ = Libc.Try.read(fd.number(), counter.address(), Long.BYTES);
      try {
        if (device.kicked(queue)) {
          // Again, after the loop's other handlers.
          counter.set(ValueLayout.JAVA_LONG, 0, 1);
          long _ = Libc.Try.write(fd.number(), counter.address(), Long.BYTES);
        }
      } catch (GuestFault e) {
        fault("queue " + queue + ": " + e.getMessage());
      } catch (RuntimeException e) {
        ActiveDevice.this.failed(e);
      }
    }

    @Override
    public void failed(Throwable cause) {
      fault("device failed: " + cause);
    }
  }
}
