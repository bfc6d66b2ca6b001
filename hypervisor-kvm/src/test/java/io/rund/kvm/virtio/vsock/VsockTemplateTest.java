package io.rund.kvm.virtio.vsock;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.virtio.DeviceHold;
import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.GuestDriver;
import io.rund.kvm.virtio.TransportState;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** A connection is saved with its device, and goes on over another one. */
class VsockTemplateTest {
  private static final int REQUEST = 1;
  private static final int RESPONSE = 2;
  private static final int RST = 3;
  private static final int RW = 5;
  private static final int PORT = 1024;
  private static final int GUEST_PORT = 5000;

  private final VsockGuest guest = new VsockGuest();
  private final GuestDriver driver = guest.driver;

  private <T> T onLoop(Supplier<T> call) throws Exception {
    return CompletableFuture.supplyAsync(call, driver.loop).get();
  }

  private void connect() {
    guest.device.listen(PORT, 9, new TestStream(driver));
    guest.post(20);
    guest.send(GUEST_PORT, PORT, REQUEST);
    var _ = guest.expect(GUEST_PORT, PORT, RESPONSE);
  }

  private VsockDevice exchange(TransportState state) {
    VsockDevice next = new VsockDevice(driver.loop);
    driver.transport.unplug();
    driver.transport.plug(next);
    driver.transport.restore(state);
    return next;
  }

  @Test
  void anUnusedConnectionGoesOn() throws Exception {
    try (guest) {
      connect();
      TransportState transport = driver.state().orElseThrow();
      ConnectionState connection = onLoop(guest.device::state).orElseThrow();
      VsockDevice next = exchange(transport);
      TestStream host = new TestStream(driver);
      next.listen(PORT, 1, host);
      driver.onLoop(() -> next.restore(connection));
      guest.send(GUEST_PORT, PORT, RW, 0, "hello".getBytes(US_ASCII));
      driver.settle();
      assertEquals("hello", new String(host.take(), US_ASCII));
      assertEquals(5, host.write("guest".getBytes(US_ASCII)));
      assertEquals("guest", new String(guest.expect(GUEST_PORT, PORT, RW).data(), US_ASCII));
      guest.expectNothing();
    }
  }

  @Test
  void aConnectionThatNobodyAwaitsIsReset() throws Exception {
    try (guest) {
      connect();
      TransportState transport = driver.state().orElseThrow();
      ConnectionState connection = onLoop(guest.device::state).orElseThrow();
      VsockDevice next = exchange(transport);
      driver.onLoop(() -> next.restore(connection));
      var _ = guest.expect(GUEST_PORT, PORT, RST);
    }
  }

  @Test
  void onlyOneConnectionOverWhichNothingWasSaidCanBeSaved() throws Exception {
    try (guest) {
      assertEquals(Optional.empty(), onLoop(guest.device::state));
      connect();
      assertTrue(onLoop(guest.device::state).isPresent());
      guest.send(GUEST_PORT, PORT, RW, 0, "x".getBytes(US_ASCII));
      driver.settle();
      assertEquals(Optional.empty(), onLoop(guest.device::state));
    }
  }

  @Test
  void whatTheHostHasToSayWaitsWhileTheDeviceIsHeld() throws Exception {
    try (guest) {
      TestStream host = new TestStream(driver);
      guest.device.listen(PORT, 1, host);
      guest.post(20);
      guest.send(GUEST_PORT, PORT, REQUEST);
      var _ = guest.expect(GUEST_PORT, PORT, RESPONSE);
      DeviceHold holder = driver.transport.holder();
      assertTrue(onLoop(holder::hold).isPresent());
      assertEquals(0, host.write("guest".getBytes(US_ASCII)));
      guest.submit(GUEST_PORT, PORT, RW, 0, "hello".getBytes(US_ASCII));
      guest.expectNothing();
      assertEquals(0, host.take().length);
      driver.onLoop(holder::letGo);
      driver.settle();
      assertEquals("hello", new String(host.take(), US_ASCII));
      assertEquals(5, host.write("guest".getBytes(US_ASCII)));
      assertEquals("guest", new String(guest.expect(GUEST_PORT, PORT, RW).data(), US_ASCII));
    }
  }

  @Test
  void aGuestIsToldThatItsConnectionsAreNoMoreBeforeItCanFindOut() throws Exception {
    try (guest) {
      connect();
      DriverQueue events = driver.queue(2);
      DriverQueue.Buffer buffer = DriverQueue.writable(driver.allocate(4), 4);
      driver.memory.putInt(buffer.address(), -1);
      for (int i = 0; i < 8; i++) {
        events.submit(buffer);
      }
      VsockDevice next = exchange(driver.state().orElseThrow());
      TestStream host = new TestStream(driver);
      next.listen(PORT, 1, host);
      driver.onLoop(next::resetTransport);
      assertEquals(4, events.take().written());
      assertEquals(0, driver.memory.getInt(buffer.address()));
      guest.send(GUEST_PORT, PORT, RW, 0, "lost".getBytes(US_ASCII));
      guest.expectNothing();
      events.submit(buffer);
      guest.send(GUEST_PORT, PORT, RW, 0, "lost".getBytes(US_ASCII));
      var _ = guest.expect(GUEST_PORT, PORT, RST);
      guest.send(GUEST_PORT + 1, PORT, REQUEST);
      var _ = guest.expect(GUEST_PORT + 1, PORT, RESPONSE);
    }
  }

  @Test
  void aGuestWithoutRoomForAnEventIsRefused() throws Exception {
    try (guest) {
      connect();
      VsockDevice next = exchange(driver.state().orElseThrow());
      CompletionException e =
          assertThrows(CompletionException.class, () -> driver.onLoop(next::resetTransport));
      assertTrue(e.getCause().getMessage().contains("takes no events"), e::toString);
    }
  }
}
