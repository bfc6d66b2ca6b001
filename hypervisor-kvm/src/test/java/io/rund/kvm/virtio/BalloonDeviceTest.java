package io.rund.kvm.virtio;

import static io.rund.kvm.virtio.DriverQueue.writable;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class BalloonDeviceTest {
  private static final int MIB = 1 << 20;

  /** Behind inflateq and deflateq, as Linux's virtio_mmio numbers them. */
  private static final int REPORTING = 2;

  private GuestDriver guest;
  private BalloonDevice balloon;

  @BeforeEach
  void setUp() {
    guest = new GuestDriver();
    balloon = new BalloonDevice(guest.memory);
    guest.transport.plug(balloon);
    guest.start();
  }

  @AfterEach
  void tearDown() {
    guest.close();
  }

  @Test
  void whatIsReportedGoesBackToTheHostAndNothingElse() {
    assertFalse(balloon.hasReported(Duration.ZERO));
    guest.memory.slice(2 * MIB, 10 * MIB).fill((byte) 1);
    long resident = guest.memory.residentBytes();
    DriverQueue queue = guest.queue(REPORTING);
    int head = queue.submit(writable(4 * MIB, 4 * MIB), writable(9 * MIB + 100, 8192));
    assertEquals(new DriverQueue.Used(head, 0), queue.take());
    assertTrue(guest.memory.residentBytes() <= resident - 4 * MIB);
    assertTrue(balloon.hasReported(Duration.ZERO));
    assertFalse(balloon.hasReported(Duration.ofHours(1)));
    for (int at = 2 * MIB; at < 12 * MIB; at++) {
      boolean reported = at >= 4 * MIB && at < 8 * MIB;
      // Whole pages only: of those from 9 MiB on, the second.
      boolean page = at >= 9 * MIB + 4096 && at < 9 * MIB + 8192;
      assertEquals(reported || page ? 0 : 1, guest.memory.getByte(at), "at " + at);
    }
  }

  @Test
  void aReportThatIsLongLetsOthersHaveTheirTurn() {
    DriverQueue queue = guest.queue(REPORTING);
    DriverQueue.Buffer[] all = new DriverQueue.Buffer[queue.size()];
    Arrays.fill(all, writable(2 * MIB, 14 * MIB));
    AtomicInteger turns = new AtomicInteger();
    Runnable other =
        new Runnable() {
          @Override
          public void run() {
            if (!queue.hasUsed()) {
              turns.incrementAndGet();
              guest.loop.execute(this);
            }
          }
        };
    guest.onLoop(
        () -> {
          queue.submit(all);
          guest.loop.execute(other);
        });
    queue.take();
    assertTrue(turns.get() >= 7 * 32, "turns: " + turns);
  }

  @Test
  void whoReportsHisQueuesLosesThem() {
    guest.queue(REPORTING).submit(writable(0, guest.memory.size()));
    guest.awaitTrue("the device is broken", guest::isBroken);
  }

  @Test
  void whatIsNotRamBreaksTheDevice() {
    guest.queue(REPORTING).submit(writable(guest.memory.size() - 4096, 8192));
    guest.awaitTrue("the device is broken", guest::isBroken);
  }

  @Test
  void aResetInTheMiddleOfAReportEndsIt() {
    DriverQueue queue = guest.queue(REPORTING);
    DriverQueue.Buffer[] all = new DriverQueue.Buffer[queue.size()];
    Arrays.fill(all, writable(2 * MIB, 14 * MIB));
    queue.submit(all);
    guest.start();
    DriverQueue again = guest.queue(REPORTING);
    int head = again.submit(writable(2 * MIB, 2 * MIB));
    assertEquals(new DriverQueue.Used(head, 0), again.take());
  }
}
