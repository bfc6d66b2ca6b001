package io.rund.kvm.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.kvm.virtio.vsock.VsockDevice;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RngDeviceTest {
  @Test
  void fillsBuffersWithDifferentBytes() {
    try (GuestDriver guest = new GuestDriver()) {
      guest.transport.plug(new RngDevice(guest.memory));
      guest.start();
      DriverQueue queue = guest.queue(0);
      long first = guest.allocate(64);
      long second = guest.allocate(64);
      queue.submit(DriverQueue.writable(first, 32), DriverQueue.writable(second, 64));
      assertEquals(new DriverQueue.Used(0, 96), queue.take());
      byte[] zeros = new byte[32];
      assertFalse(Arrays.equals(zeros, queue.get(first, 32)));
      assertTrue(Arrays.equals(zeros, queue.get(first + 32, 32)), "wrote past the buffer");
      assertFalse(Arrays.equals(queue.get(first, 32), queue.get(second, 32)));
    }
  }

  @Test
  void gives4096BytesAtMostForOneRequest() {
    try (GuestDriver guest = new GuestDriver()) {
      guest.transport.plug(new RngDevice(guest.memory));
      guest.start();
      guest.queue(0).submit(DriverQueue.writable(guest.allocate(1 << 20), 1 << 20));
      assertEquals(4096, guest.queue(0).take().written());
    }
  }

  @Test
  void requestWithoutRoomBreaksTheDevice() {
    try (GuestDriver guest = new GuestDriver()) {
      guest.transport.plug(new RngDevice(guest.memory));
      guest.start();
      guest.queue(0).submit(DriverQueue.readable(guest.allocate(16), 16));
      guest.awaitTrue("the device is broken", guest::isBroken);
    }
  }

  /** What a clone's slot does, here to the slot of the same guest. */
  @Test
  void anotherDeviceGoesOnWhereOneStood() throws Exception {
    try (GuestDriver guest = new GuestDriver()) {
      guest.transport.plug(new RngDevice(guest.memory));
      assertEquals(Optional.empty(), guest.state());
      guest.start();
      DriverQueue queue = guest.queue(0);
      for (int i = 0; i < 3; i++) {
        queue.submit(DriverQueue.writable(guest.allocate(16), 16));
        assertEquals(16, queue.take().written());
      }
      TransportState state = guest.state().orElseThrow();
      guest.transport.unplug();
      guest.transport.plug(new RngDevice(guest.memory));
      guest.transport.restore(state);
      assertEquals(state.status(), guest.read(GuestDriver.STATUS));
      queue.submit(DriverQueue.writable(guest.allocate(16), 16));
      assertEquals(16, queue.take().written());
      assertFalse(guest.isBroken());
    }
  }

  @Test
  void anotherDeviceDoesNotGoOnNorOneWhoseQueueIsNotInMemory() throws Exception {
    try (GuestDriver guest = new GuestDriver()) {
      guest.transport.plug(new RngDevice(guest.memory));
      guest.start();
      TransportState state = guest.state().orElseThrow();
      guest.transport.unplug();
      assertThrows(RundException.class, () -> guest.transport.restore(state));
      guest.transport.plug(new VsockDevice(guest.loop));
      assertThrows(RundException.class, () -> guest.transport.restore(state));
      guest.transport.unplug();
      guest.transport.plug(new RngDevice(guest.memory));
      var layout = state.queues().getFirst().orElseThrow().layout();
      for (long far : new long[] {1L << 40, -16}) {
        var moved = new Virtqueue.Layout(layout.size(), far, layout.available(), layout.used());
        var queue = Optional.of(new TransportState.Queue(moved, 0));
        TransportState wrong =
            new TransportState(state.kind(), state.status(), state.features(), List.of(queue));
        assertThrows(RundException.class, () -> guest.transport.restore(wrong));
      }
      TransportState wrong = new TransportState(state.kind(), state.status(), -1, state.queues());
      assertThrows(RundException.class, () -> guest.transport.restore(wrong));
      guest.transport.restore(state);
    }
  }
}
