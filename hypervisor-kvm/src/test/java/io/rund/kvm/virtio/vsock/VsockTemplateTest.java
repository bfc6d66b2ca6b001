package io.rund.kvm.virtio.vsock;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.virtio.GuestDriver;
import io.rund.kvm.virtio.TransportState;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
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
      TransportState transport = onLoop(driver.transport.state()).orElseThrow();
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
      TransportState transport = onLoop(driver.transport.state()).orElseThrow();
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
}
