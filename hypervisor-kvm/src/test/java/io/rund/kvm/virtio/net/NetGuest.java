package io.rund.kvm.virtio.net;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.GuestDriver;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;

/** The guest's end of a card: frames in and out of its queues. */
final class NetGuest implements AutoCloseable {
  static final int HEADER = 12;
  private static final int BUFFERS = 256;

  final GuestDriver driver = new GuestDriver();
  final TapNetwork network = new TapNetwork();
  final NetDevice device = new NetDevice(driver.memory, driver.loop, network.nic());
  private final long receiveMemory = driver.allocate(BUFFERS * 4096);
  private int bufferSize;

  NetGuest() throws Exception {
    driver.transport.plug(device);
  }

  NetGuest start(long without) {
    driver.start(without);
    // The host's kernel has to know of the offloads before it sends.
    driver.settle();
    return this;
  }

  DriverQueue rx() {
    return driver.queue(0);
  }

  DriverQueue tx() {
    return driver.queue(1);
  }

  /** Makes buffers of {@code size} bytes, at most 4096, available. */
  void post(int count, int size) {
    bufferSize = size;
    for (int i = 0; i < count; i++) {
      int head = rx().chain(DriverQueue.writable(0, size));
      rx().descriptor(rx().descriptors(), head, buffer(head), size, DriverQueue.WRITE, 0);
      rx().offer(head);
    }
    rx().kickIfWanted();
  }

  private long buffer(int head) {
    return receiveMemory + head * 4096L;
  }

  /** The next packet with its header, out of as many buffers as that says; waits for it. */
  byte[] receive() {
    ByteArrayOutputStream packet = new ByteArrayOutputStream();
    int count = 1;
    for (int i = 0; i < count; i++) {
      DriverQueue.Used used = rx().take();
      byte[] piece = rx().get(buffer(used.head()), used.written());
      packet.writeBytes(piece);
      if (i == 0) {
        count = (piece[10] & 0xff) | (piece[11] & 0xff) << 8;
      }
      if (i + 1 < count) {
        assertEquals(bufferSize, used.written(), "a buffer that is not the last is full");
      }
    }
    return packet.toByteArray();
  }

  byte[] receiveFrame() {
    byte[] packet = receive();
    return Arrays.copyOfRange(packet, HEADER, packet.length);
  }

  /** Sends a packet, waits until the device has taken it. */
  void send(byte[] header, byte[] frame) {
    int half = frame.length / 2;
    DriverQueue.Buffer whole = tx().bytes(concat(header, frame));
    tx().submit(
            DriverQueue.readable(whole.address(), 5),
            DriverQueue.readable(whole.address() + 5, header.length - 5 + half),
            DriverQueue.readable(
                whole.address() + header.length + half, frame.length - (long) half));
    tx().take();
  }

  void send(byte[] frame) {
    send(new byte[HEADER], frame);
  }

  static byte[] concat(byte[] a, byte[] b) {
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  @Override
  public void close() {
    driver.close();
    network.close();
  }
}
