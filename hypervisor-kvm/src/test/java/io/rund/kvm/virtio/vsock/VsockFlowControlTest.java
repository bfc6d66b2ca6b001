package io.rund.kvm.virtio.vsock;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** How much may be sent: credit, receive buffers, and their fair use. */
class VsockFlowControlTest extends VsockTest {
  @Test
  void guestMayNotSendMoreThanTheBufferHolds() {
    connect();
    host.reading = false;
    byte[] half = random(CAPACITY / 2);
    guest.send(GUEST_PORT, PORT, RW, 0, half);
    guest.send(GUEST_PORT, PORT, RW, 0, half);
    guest.expectNothing();
    guest.send(GUEST_PORT, PORT, RW, 0, new byte[1]);
    guest.expect(GUEST_PORT, PORT, RST);
    guest.driver.settle();
    assertEquals(1, host.closed.get());
    assertFalse(guest.driver.isBroken());
  }

  @Test
  void aReaderThatReadsKeepsTheGuestSending() {
    connect();
    byte[] third = random(CAPACITY / 3);
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    int told = 0;
    int updates = 0;
    for (int i = 1; i <= 30; i++) {
      while (i * third.length - told > CAPACITY) {
        told = guest.expect(GUEST_PORT, PORT, CREDIT_UPDATE).forwarded();
        updates++;
      }
      guest.send(GUEST_PORT, PORT, RW, 0, third);
      received.writeBytes(host.take());
    }
    assertTrue(updates <= 30 * third.length / (CAPACITY / 2), updates + " updates");
    byte[] all = received.toByteArray();
    assertEquals(30 * third.length, all.length);
    for (int i = 0; i < 30; i++) {
      assertArrayEquals(third, Arrays.copyOfRange(all, i * third.length, (i + 1) * third.length));
    }
  }

  @Test
  void creditRequestIsAnswered() {
    connect();
    host.reading = false;
    sendData("abc");
    guest.send(GUEST_PORT, PORT, CREDIT_REQUEST);
    VsockGuest.Packet update = guest.expect(GUEST_PORT, PORT, CREDIT_UPDATE);
    assertEquals(CAPACITY, update.bufferSize());
    assertEquals(0, update.forwarded());
  }

  @Test
  void hostSendsNoMoreThanTheGuestHasRoomFor() {
    guest.bufferSize = 10_000;
    connect();
    assertEquals(10_000, host.write(random(25_000)));
    assertEquals(0, host.write(new byte[1]));
    for (int left = 10_000; left > 0; ) {
      left -= guest.expect(GUEST_PORT, PORT, RW).length();
    }
    guest.expectNothing();
    assertEquals(0, host.writable.get());
    guest.forwarded = 6000;
    guest.send(GUEST_PORT, PORT, CREDIT_UPDATE);
    guest.driver.settle();
    assertEquals(1, host.writable.get());
    assertEquals(6000, host.write(random(25_000)));
    // A guest that takes its promise back gets nothing, and nobody else cares.
    guest.bufferSize = 1;
    guest.send(GUEST_PORT, PORT, CREDIT_UPDATE);
    assertEquals(0, host.write(new byte[1]));
  }

  @Test
  void promiseOfAHugeBufferIsTakenForAMebibyte() {
    guest.bufferSize = -1;
    connect();
    int sent = 0;
    for (int taken = -1; taken != 0; sent += taken) {
      taken = host.write(new byte[1 << 19]);
      for (int left = taken; left > 0; ) {
        left -= guest.expect(GUEST_PORT, PORT, RW).length();
        guest.post(1);
      }
    }
    assertEquals(1 << 20, sent);
  }

  @Test
  void writerWaitsForReceiveBuffers() {
    guest.post(3);
    guest.send(GUEST_PORT, PORT, REQUEST);
    guest.expect(GUEST_PORT, PORT, RESPONSE);
    byte[] bytes = random(20_000);
    int perBuffer = VsockGuest.BUFFER - VsockGuest.HEADER;
    assertEquals(2 * perBuffer, host.write(bytes));
    assertEquals(0, host.write(bytes));
    assertEquals(0, host.writable.get());
    guest.post(1);
    guest.driver.awaitTrue("the writer is told", () -> host.writable.get() == 1);
    assertEquals(perBuffer, host.write(Arrays.copyOfRange(bytes, 2 * perBuffer, bytes.length)));
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    for (int i = 0; i < 3; i++) {
      received.writeBytes(guest.expect(GUEST_PORT, PORT, RW).data());
    }
    assertArrayEquals(Arrays.copyOf(bytes, 3 * perBuffer), received.toByteArray());
  }

  @Test
  void controlPacketsWaitForReceiveBuffers() {
    guest.send(GUEST_PORT, PORT, REQUEST);
    guest.send(GUEST_PORT + 1, 99, REQUEST);
    assertEquals(0, host.write(new byte[10]), "data before the response");
    guest.send(GUEST_PORT, PORT, CREDIT_REQUEST);
    guest.driver.onLoop(() -> host.stream.shutdownOutput());
    guest.post(2);
    guest.expect(GUEST_PORT + 1, 99, RST);
    guest.expect(GUEST_PORT, PORT, RESPONSE);
    guest.post(2);
    guest.expect(GUEST_PORT, PORT, CREDIT_UPDATE);
    assertEquals(2, guest.expect(GUEST_PORT, PORT, SHUTDOWN).flags());
  }

  @Test
  void guestThatNeverReceivesMustStopSending() {
    // Each of these is owed a reset.
    for (int i = 0; i < 80; i++) {
      guest.submit(i, 99, REQUEST, 0, new byte[0]);
    }
    guest.driver.settle();
    int taken = 0;
    while (guest.tx().hasUsed()) {
      guest.tx().take();
      taken++;
    }
    assertTrue(taken < 80, "packets taken with nowhere to put the answers: " + taken);
    guest.post(100);
    for (int i = 0; i < 80; i++) {
      guest.expect(i, 99, RST);
    }
    for (; taken < 80; taken++) {
      guest.tx().take();
    }
    connect();
  }

  @Test
  void everyStreamGetsItsShareOfScarceBuffers() {
    TestStream other = new TestStream(guest.driver);
    guest.device.listen(9, 1, other);
    guest.post(2);
    guest.send(1, PORT, REQUEST);
    guest.expect(1, PORT, RESPONSE);
    guest.send(2, 9, REQUEST);
    guest.expect(2, 9, RESPONSE);
    assertEquals(0, host.write(new byte[9000]));
    assertEquals(0, other.write(new byte[9000]));
    guest.post(1);
    guest.driver.awaitTrue("one writer is told", () -> host.writable.get() == 1);
    assertEquals(VsockGuest.BUFFER - VsockGuest.HEADER, host.write(new byte[9000]));
    guest.post(1);
    guest.driver.awaitTrue("the other one is told", () -> other.writable.get() == 1);
  }
}
