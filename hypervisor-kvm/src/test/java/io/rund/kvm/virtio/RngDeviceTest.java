package io.rund.kvm.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
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
}
