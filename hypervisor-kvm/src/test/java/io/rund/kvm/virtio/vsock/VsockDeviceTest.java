package io.rund.kvm.virtio.vsock;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.kvm.virtio.DriverQueue;
import org.junit.jupiter.api.Test;

/** How connections come and go, and what the device does to a guest that breaks the rules. */
class VsockDeviceTest extends VsockTest {
  @Test
  void guestCidIsInTheConfigurationSpace() {
    assertEquals(3, guest.driver.transport.read(0x100, 8));
    assertEquals(3, guest.driver.transport.read(0x100, 4));
    assertEquals(0, guest.driver.transport.read(0x104, 4));
  }

  @Test
  void bytesTravelBothWays() {
    connect();
    sendData("hello ");
    sendData("host");
    guest.driver.settle();
    assertEquals("hello host", new String(host.take(), US_ASCII));
    assertEquals(5, host.write("guest".getBytes(US_ASCII)));
    assertEquals("guest", new String(guest.expect(GUEST_PORT, PORT, RW).data(), US_ASCII));
    guest.expectNothing();
  }

  @Test
  void packetAndItsAnswerCostOneInterrupt() {
    connect();
    host.answer = "pong".getBytes(US_ASCII);
    guest.driver.settle();
    guest.rx().interruptAfter(1);
    guest.tx().interruptAfter(1);
    int before = guest.driver.interrupts();
    sendData("ping");
    guest.expect(GUEST_PORT, PORT, RW);
    guest.driver.settle();
    assertEquals(before + 1, guest.driver.interrupts());
  }

  @Test
  void steadyTrafficAllocatesNothing() {
    connect();
    byte[] packet = random(8192);
    int[] sent = {0};
    guest.driver.awaitNoAllocation(
        () -> {
          for (int i = 0; i < 100; i++) {
            sendInPlace(packet, sent[0]++);
          }
        });
  }

  /** Sends a packet from memory that is set up once, and takes the credit that comes back. */
  private void sendInPlace(byte[] packet, int number) {
    if (number == 0) {
      guest.send(GUEST_PORT, PORT, RW, 0, packet);
      host.forget = true;
      lastHead = guest.lastHead();
    } else {
      guest.tx().offer(lastHead);
      guest.tx().kickIfWanted();
      guest.tx().take();
    }
    while (guest.rx().hasUsed()) {
      guest.expect(GUEST_PORT, PORT, CREDIT_UPDATE);
      guest.post(1);
    }
  }

  private int lastHead;

  @Test
  void portWithoutListenerIsReset() {
    guest.post(10);
    guest.send(GUEST_PORT, 77, REQUEST);
    guest.expect(GUEST_PORT, 77, RST);
  }

  @Test
  void portCanBeListenedToOnceAtATime() throws Exception {
    RundException e = assertThrows(RundException.class, () -> guest.device.listen(PORT, 1, host));
    assertEquals(ErrorCode.ALREADY_EXISTS, e.code());
    AutoCloseable listener = guest.device.listen(9, 1, host);
    listener.close();
    guest.device.listen(9, 1, host).close();
    guest.post(10);
    guest.send(GUEST_PORT, 9, REQUEST);
    guest.expect(GUEST_PORT, 9, RST);
  }

  @Test
  void listenerAcceptsNoMoreThanItsLimit() {
    guest.device.listen(9, 2, host);
    guest.post(10);
    guest.send(1, 9, REQUEST);
    guest.expect(1, 9, RESPONSE);
    guest.send(2, 9, REQUEST);
    guest.expect(2, 9, RESPONSE);
    guest.send(3, 9, REQUEST);
    guest.expect(3, 9, RST);
    assertEquals(2, host.accepted.get());
  }

  @Test
  void connectionsAreBounded() {
    for (int i = 0; i < VsockDevice.MAX_CONNECTIONS; i++) {
      guest.post(1);
      guest.send(10_000 + i, PORT, REQUEST);
      guest.expect(10_000 + i, PORT, RESPONSE);
    }
    guest.post(3);
    guest.send(1, PORT, REQUEST);
    guest.expect(1, PORT, RST);
    // One that its user has closed makes room, even if the guest has never answered that.
    host.close();
    guest.expect(10_000 + VsockDevice.MAX_CONNECTIONS - 1, PORT, SHUTDOWN);
    guest.send(1, PORT, REQUEST);
    guest.post(2);
    guest.expect(10_000 + VsockDevice.MAX_CONNECTIONS - 1, PORT, RST);
    guest.expect(1, PORT, RESPONSE);
  }

  @Test
  void guestThatClosesEndsTheStreamOnceAllIsRead() {
    connect();
    host.reading = false;
    sendData("last words");
    guest.send(GUEST_PORT, PORT, SHUTDOWN, 3, new byte[0]);
    guest.expect(GUEST_PORT, PORT, RST);
    guest.driver.settle();
    assertEquals(0, host.closed.get(), "closed before its user has read all");
    host.resume();
    guest.driver.settle();
    assertEquals("last words", new String(host.take(), US_ASCII));
    assertTrue(host.ended);
    assertEquals(1, host.closed.get());
  }

  @Test
  void bytesThatArrivedSurviveAReset() {
    connect();
    host.reading = false;
    sendData("last words");
    guest.send(GUEST_PORT, PORT, RST);
    host.resume();
    guest.driver.settle();
    assertEquals("last words", new String(host.take(), US_ASCII));
    assertEquals(1, host.closed.get());
    guest.expectNothing();
  }

  @Test
  void halfCloseLeavesTheOtherHalfOpen() {
    connect();
    guest.send(GUEST_PORT, PORT, SHUTDOWN, 2, new byte[0]);
    guest.driver.settle();
    assertTrue(host.ended);
    assertEquals(0, host.closed.get());
    assertEquals(3, host.write("yes".getBytes(US_ASCII)));
    guest.expect(GUEST_PORT, PORT, RW);
    guest.driver.onLoop(() -> host.stream.shutdownOutput());
    assertEquals(2, guest.expect(GUEST_PORT, PORT, SHUTDOWN).flags());
    assertEquals(0, host.write(new byte[1]));
    host.close();
    assertEquals(3, guest.expect(GUEST_PORT, PORT, SHUTDOWN).flags());
    guest.send(GUEST_PORT, PORT, RST);
    guest.expectNothing();
    assertEquals(1, host.closed.get());
  }

  @Test
  void dataAfterTheEndIsReset() {
    connect();
    guest.send(GUEST_PORT, PORT, SHUTDOWN, 2, new byte[0]);
    sendData("more");
    guest.expect(GUEST_PORT, PORT, RST);
    guest.driver.settle();
    assertEquals(1, host.closed.get());
  }

  @Test
  void hostThatClosesStillDeliversAndThenForgets() {
    guest.post(2);
    guest.send(GUEST_PORT, PORT, REQUEST);
    guest.expect(GUEST_PORT, PORT, RESPONSE);
    assertEquals(3, host.write("bye".getBytes(US_ASCII)));
    host.close();
    assertEquals(1, host.closed.get());
    assertEquals("bye", new String(guest.expect(GUEST_PORT, PORT, RW).data(), US_ASCII));
    // What was under way is dropped without a word.
    sendData("too late");
    guest.post(2);
    assertEquals(3, guest.expect(GUEST_PORT, PORT, SHUTDOWN).flags());
    guest.send(GUEST_PORT, PORT, RST);
    guest.expectNothing();
    sendData("who?");
    guest.expect(GUEST_PORT, PORT, RST);
    connect();
    assertEquals(2, host.accepted.get());
  }

  @Test
  void writesToAGuestThatReadsNoMoreAreDropped() {
    connect();
    guest.send(GUEST_PORT, PORT, SHUTDOWN, 1, new byte[0]);
    assertEquals(100_000, host.write(new byte[100_000]));
    guest.expectNothing();
    sendData("still talking");
    assertEquals("still talking", new String(host.take(), US_ASCII));
  }

  @Test
  void secondRequestForTheSamePortsResetsBoth() {
    connect();
    guest.send(GUEST_PORT, PORT, REQUEST);
    guest.expect(GUEST_PORT, PORT, RST);
    guest.driver.settle();
    assertEquals(1, host.closed.get());
    connect();
  }

  @Test
  void operationsThatMakeNoSenseResetTheStream() {
    for (int operation : new int[] {0, RESPONSE, 8, 0xffff}) {
      connect();
      int closed = host.closed.get();
      guest.send(GUEST_PORT, PORT, operation);
      guest.expect(GUEST_PORT, PORT, RST);
      guest.driver.settle();
      assertEquals(closed + 1, host.closed.get());
    }
  }

  @Test
  void lengthThatTheChainDoesNotHaveResetsTheStream() {
    for (int length : new int[] {3, 5, -1, Integer.MAX_VALUE}) {
      connect();
      guest.submit(
          new VsockGuest.Packet(
              3, 2, GUEST_PORT, PORT, length, 1, RW, 0, 1000, 0, "four".getBytes(US_ASCII)));
      guest.tx().take();
      guest.expect(GUEST_PORT, PORT, RST);
    }
    assertEquals(0, host.take().length);
  }

  @Test
  void packetsToOrFromSomebodyElseAreIgnored() {
    guest.post(10);
    for (long[] cids : new long[][] {{3, 1}, {3, 4}, {4, 2}, {2, 2}, {-1, -1}}) {
      guest.submit(
          new VsockGuest.Packet(
              cids[0], cids[1], GUEST_PORT, PORT, 0, 1, REQUEST, 0, 1000, 0, new byte[0]));
      guest.tx().take();
    }
    // SEQPACKET was not offered.
    guest.submit(
        new VsockGuest.Packet(3, 2, GUEST_PORT, PORT, 0, 2, REQUEST, 0, 1000, 0, new byte[0]));
    guest.tx().take();
    guest.expectNothing();
    assertEquals(0, host.accepted.get());
  }

  @Test
  void packetWithoutAFullHeaderBreaksTheDeviceAndEndsItsStreams() {
    connect();
    guest.tx().submit(guest.tx().bytes(new byte[43]));
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
    guest.driver.settle();
    assertEquals(1, host.closed.get());
    guest.start();
    connect();
    assertEquals(2, host.accepted.get());
  }

  @Test
  void receiveBufferWithoutRoomBreaksTheDevice() {
    connectWithSmallBuffers(43);
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
  }

  private void connectWithSmallBuffers(int size) {
    guest.rx().submit(DriverQueue.writable(guest.driver.allocate(64), size));
    guest.submit(GUEST_PORT, PORT, REQUEST, 0, new byte[0]);
  }

  @Test
  void resetOfTheDeviceEndsEveryStreamOnce() {
    for (int i = 0; i < 5; i++) {
      guest.post(1);
      guest.send(100 + i, PORT, REQUEST);
      guest.expect(100 + i, PORT, RESPONSE);
    }
    host.close();
    assertEquals(1, host.closed.get());
    guest.start();
    guest.driver.settle();
    assertEquals(5, host.closed.get());
    assertEquals(0, host.write(new byte[1]));
    connect();
    guest.driver.transport.unplug();
    assertEquals(6, host.closed.get());
  }

  @Test
  void userThatThrowsLosesItsStreamOnly() {
    connect();
    host.failure = new IllegalStateException("for the test");
    sendData("x");
    guest.expect(GUEST_PORT, PORT, RST);
    guest.driver.settle();
    assertEquals(1, host.closed.get());
    guest.device.listen(
        11,
        1,
        stream -> {
          throw new IllegalStateException("for the test");
        });
    guest.send(GUEST_PORT, 11, REQUEST);
    guest.expect(GUEST_PORT, 11, RST);
    host.failure = null;
    connect();
    sendData("still here");
    assertEquals("still here", new String(host.take(), US_ASCII));
  }
}
