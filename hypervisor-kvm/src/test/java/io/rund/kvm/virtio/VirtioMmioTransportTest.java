package io.rund.kvm.virtio;

import static io.rund.kvm.virtio.VirtioMmioTransport.F_EVENT_IDX;
import static io.rund.kvm.virtio.VirtioMmioTransport.F_INDIRECT_DESC;
import static io.rund.kvm.virtio.VirtioMmioTransport.F_VERSION_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioMmioTransportTest {
  private static final int STATUS = 0x070;
  private static final int INTERRUPT_STATUS = 0x060;
  private static final int INTERRUPT_ACK = 0x064;

  private final GuestDriver guest = new GuestDriver();
  private final Echo device = new Echo();

  /** Gives every chain back with its number of readable bytes. */
  private static final class Echo implements VirtioDevice {
    volatile long features;
    final AtomicInteger activations = new AtomicInteger();
    final AtomicInteger resets = new AtomicInteger();
    volatile boolean closed;
    volatile boolean throwing;
    volatile CompletableFuture<Runnable> heldReset;
    private List<Virtqueue> queues;

    @Override
    public int type() {
      return 42;
    }

    @Override
    public long features() {
      return 1L << 5 | 1L << 35;
    }

    @Override
    public int queues() {
      return 2;
    }

    @Override
    public int maxQueueSize() {
      return 64;
    }

    @Override
    public MemorySegment config() {
      return MemorySegment.ofArray(new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    }

    @Override
    public void activate(long features, List<Virtqueue> queues) {
      this.features = features;
      this.queues = queues;
      activations.incrementAndGet();
    }

    @Override
    public boolean kicked(int index) {
      if (throwing) {
        throw new IllegalStateException("for the test");
      }
      Virtqueue queue = queues.get(index);
      DescriptorChain chain = queue.pop();
      if (chain != null) {
        queue.push(chain.head(), chain.readableBytes());
        queue.flush();
        return true;
      }
      return queue.enableKicks();
    }

    @Override
    public void reset(Runnable done) {
      resets.incrementAndGet();
      if (heldReset != null) {
        heldReset.complete(done);
      } else {
        done.run();
      }
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  @AfterEach
  void tearDown() {
    guest.close();
  }

  private void assertWorks() {
    for (int queue = 0; queue < 2; queue++) {
      guest.queue(queue).submit(DriverQueue.readable(0x1000, 7));
      assertEquals(7, guest.queue(queue).take().written());
    }
  }

  @Test
  void emptySlotShowsDeviceIdZero() {
    assertEquals(0x74726976, guest.read(0x000));
    assertEquals(2, guest.read(0x004));
    assertEquals(0, guest.read(0x008));
    guest.write(STATUS, 1);
    assertEquals(0, guest.read(STATUS));
    assertEquals(0, guest.transport.read(0x100, 8));
  }

  @Test
  void deviceIsSetUpAndWorks() {
    guest.transport.plug(device);
    assertEquals(42, guest.read(0x008));
    guest.start();
    guest.settle();
    long all = device.features() | F_VERSION_1 | F_EVENT_IDX | F_INDIRECT_DESC;
    assertEquals(all, device.features);
    assertWorks();
  }

  @Test
  void worksWithoutEventIndexAndIndirectDescriptors() {
    guest.transport.plug(device);
    guest.start(F_EVENT_IDX | F_INDIRECT_DESC);
    for (int i = 0; i < 200; i++) {
      assertWorks();
    }
  }

  @Test
  void featuresThatWereNotOfferedAreRefused() {
    guest.transport.plug(device);
    for (long features : new long[] {F_VERSION_1 | 1, F_VERSION_1 | 1L << 63, 0, 1L << 5}) {
      guest.write(STATUS, 0);
      guest.write(STATUS, 3);
      guest.acceptFeatures(features);
      guest.write(STATUS, 11);
      assertEquals(3, guest.read(STATUS), () -> Long.toHexString(features));
      guest.write(STATUS, 15);
      assertEquals(3, guest.read(STATUS) & ~8);
    }
    guest.settle();
    assertEquals(0, device.activations.get());
  }

  @Test
  void featureSelectorsBeyondTwoWordsReadZero() {
    guest.transport.plug(device);
    for (int select : new int[] {2, 31, 64, -1, Integer.MIN_VALUE}) {
      guest.write(0x014, select);
      assertEquals(0, guest.read(0x010));
    }
  }

  @Test
  void configurationIsReadInAnySizeAndIsZeroBeyondItsEnd() {
    guest.transport.plug(device);
    assertEquals(0x0807060504030201L, guest.transport.read(0x100, 8));
    assertEquals(3, guest.transport.read(0x102, 1));
    assertEquals(0x0403, guest.transport.read(0x102, 2));
    assertEquals(0x0a09, guest.transport.read(0x108, 8));
    assertEquals(0, guest.transport.read(0x1ff, 1));
    guest.transport.write(0x100, 4, -1);
    assertEquals(0x0807060504030201L, guest.transport.read(0x100, 8));
  }

  @Test
  void registersAreReadAsWordsOnly() {
    guest.transport.plug(device);
    assertEquals(0, guest.transport.read(0x008, 1));
    assertEquals(0, guest.transport.read(0x008, 8));
    assertEquals(0, guest.transport.read(0x00a, 2));
  }

  @Test
  void queueThatMayNotBeNeedsAReset() {
    guest.transport.plug(device);
    guest.write(STATUS, 3);
    guest.acceptFeatures(F_VERSION_1);
    guest.write(STATUS, 11);
    guest.write(0x030, 0);
    assertEquals(64, guest.read(0x034));
    guest.setUpQueue(65, 0x1000, 0x2000, 0x3000);
    assertEquals(0, guest.read(0x044));
    assertTrue(guest.isBroken());
    guest.write(STATUS, guest.read(STATUS) | 4);
    guest.settle();
    assertEquals(0, device.activations.get());
    guest.start();
    assertWorks();
  }

  @Test
  void queuesThatAreNotThereHaveNoSize() {
    guest.transport.plug(device);
    for (int select : new int[] {2, 1000, -1}) {
      guest.write(0x030, select);
      assertEquals(0, guest.read(0x034));
      guest.setUpQueue(64, 0x1000, 0x2000, 0x3000);
      assertEquals(0, guest.read(0x044));
    }
    assertFalse(guest.isBroken());
  }

  @Test
  void queueInUseDoesNotMove() {
    guest.transport.plug(device);
    guest.start();
    guest.write(0x030, 0);
    guest.setUpQueue(64, 0, 0, 0);
    guest.write(0x044, 0);
    assertEquals(1, guest.read(0x044));
    assertWorks();
  }

  @Test
  void deviceWithoutQueuesDoesNothing() {
    guest.transport.plug(device);
    guest.write(STATUS, 3);
    guest.acceptFeatures(F_VERSION_1);
    guest.write(STATUS, 11);
    guest.write(STATUS, 15);
    guest.kick(0);
    guest.settle();
    assertEquals(15, guest.read(STATUS));
  }

  @Test
  void interruptIsPendingUntilAcknowledged() {
    guest.transport.plug(device);
    guest.start();
    guest.queue(0).interruptAfter(1);
    guest.queue(0).submit(DriverQueue.readable(0x1000, 7));
    guest.queue(0).take();
    guest.awaitTrue("an interrupt comes", () -> guest.interrupts() == 1);
    assertEquals(1, guest.read(INTERRUPT_STATUS));
    guest.write(INTERRUPT_ACK, 2);
    assertEquals(1, guest.read(INTERRUPT_STATUS));
    guest.write(INTERRUPT_ACK, 1);
    assertEquals(0, guest.read(INTERRUPT_STATUS));
  }

  @Test
  void brokenRuleStopsTheDeviceUntilReset() {
    guest.transport.plug(device);
    guest.start();
    assertWorks();
    guest.queue(0).offer(64);
    guest.kick(0);
    guest.awaitTrue("the device is broken", guest::isBroken);
    assertEquals(2, guest.read(INTERRUPT_STATUS) & 2);
    // The other queue has stopped too.
    guest.queue(1).submit(DriverQueue.readable(0x1000, 7));
    guest.kick(1);
    guest.settle();
    assertFalse(guest.queue(1).hasUsed());
    assertEquals(1, device.resets.get());
    guest.start();
    assertFalse(guest.isBroken());
    assertWorks();
  }

  @Test
  void deviceThatThrowsIsBroken() {
    guest.transport.plug(device);
    guest.start();
    device.throwing = true;
    guest.kick(0);
    guest.awaitTrue("the device is broken", guest::isBroken);
    device.throwing = false;
    guest.start();
    assertWorks();
  }

  @Test
  void resetWaitsUntilTheDeviceIsQuiet() throws Exception {
    guest.transport.plug(device);
    guest.start();
    device.heldReset = new CompletableFuture<>();
    CompletableFuture<Void> vcpu = CompletableFuture.runAsync(() -> guest.write(STATUS, 0));
    Runnable done = device.heldReset.get(10, TimeUnit.SECONDS);
    assertThrows(TimeoutException.class, () -> vcpu.get(50, TimeUnit.MILLISECONDS));
    // Interrupts of other queues are still served meanwhile.
    assertEquals(0, guest.read(INTERRUPT_STATUS));
    device.heldReset = null;
    guest.loop.execute(done);
    vcpu.get(10, TimeUnit.SECONDS);
    assertEquals(0, guest.read(STATUS));
  }

  @Test
  void slotsAreFilledAndEmptiedWhileTheGuestRuns() {
    int before = guest.read(0x0fc);
    guest.transport.plug(device);
    assertTrue(guest.read(0x0fc) != before);
    assertThrows(IllegalStateException.class, () -> guest.transport.plug(new Echo()));
    guest.start();
    assertWorks();
    guest.transport.unplug();
    assertTrue(device.closed);
    assertEquals(0, guest.read(0x008));
    assertEquals(0, guest.read(STATUS));
    guest.transport.unplug();
    Echo other = new Echo();
    guest.transport.plug(other);
    guest.start();
    assertWorks();
    assertEquals(1, other.activations.get());
  }

  @Test
  void slotCannotBeChangedFromItsLoop() {
    guest.onLoop(
        () -> assertThrows(IllegalStateException.class, () -> guest.transport.plug(device)));
  }

  @Test
  void randomRegisterWritesHarmNobody() {
    Random random = new Random(7);
    guest.transport.plug(device);
    GuestMemory memory = guest.memory;
    for (int i = 0; i < 4096; i += 4) {
      memory.putInt(i, random.nextInt());
    }
    int[] values = {0, 1, 2, 3, 4, 8, 11, 15, 64, 128, 0x1000, -1};
    for (int i = 0; i < 50_000; i++) {
      int offset = random.nextInt(5) == 0 ? random.nextInt(0x200) : random.nextInt(0x40) * 4;
      int value = random.nextInt(8) == 0 ? random.nextInt() : values[random.nextInt(12)];
      int size = random.nextInt(8) == 0 ? 1 << random.nextInt(4) : 4;
      guest.transport.write(offset, size, value);
      guest.transport.read(offset, size);
      if (random.nextInt(100) == 0) {
        guest.kick(random.nextInt(3));
      }
    }
    guest.start();
    assertWorks();
  }
}
