package io.rund.kvm.virtio.vsock;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.GuestDriver;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The guest's end of a socket device: puts raw packets into its queues and takes them out. */
final class VsockGuest implements AutoCloseable {
  /** A packet as it is on the wire. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Packet(
      long sourceCid,
      long destinationCid,
      int sourcePort,
      int destinationPort,
      int length,
      int type,
      int operation,
      int flags,
      int bufferSize,
      int forwarded,
      byte[] data) {}

  static final int HEADER = 44;
  static final int BUFFER = 4096;

  final GuestDriver driver = new GuestDriver();
  final VsockDevice device = new VsockDevice(driver.loop);

  /** What the guest's packets say of its own receive buffer. */
  int bufferSize = 256 * 1024;

  int forwarded;
  private int lastHead;
  private DriverQueue rx;
  private DriverQueue tx;
  private long rxMemory;
  private long txMemory;

  VsockGuest() {
    driver.transport.plug(device);
    start();
  }

  void start() {
    driver.start();
    rx = driver.queue(0);
    tx = driver.queue(1);
    if (rxMemory == 0) {
      rxMemory = driver.allocate(rx.size() * BUFFER);
      txMemory = driver.allocate(tx.size() * BUFFER);
    }
  }

  DriverQueue tx() {
    return tx;
  }

  DriverQueue rx() {
    return rx;
  }

  /** Makes {@code count} receive buffers available. */
  void post(int count) {
    for (int i = 0; i < count; i++) {
      // One buffer per descriptor, as Linux has it since 6.3.
      int head = rx.chain(DriverQueue.writable(0, BUFFER));
      long address = rxMemory + (long) head * BUFFER;
      rx.descriptor(rx.descriptors(), head, address, BUFFER, DriverQueue.WRITE, 0);
      rx.offer(head);
    }
    rx.kickIfWanted();
  }

  /** Sends a packet and waits until the device has taken it. */
  void send(int guestPort, int hostPort, int operation, int flags, byte[] data) {
    submit(guestPort, hostPort, operation, flags, data);
    tx.take();
  }

  void send(int guestPort, int hostPort, int operation) {
    send(guestPort, hostPort, operation, 0, new byte[0]);
  }

  /** Sends a packet that the device may leave waiting. */
  void submit(int guestPort, int hostPort, int operation, int flags, byte[] data) {
    Packet packet =
        new Packet(
            3,
            2,
            guestPort,
            hostPort,
            data.length,
            1,
            operation,
            flags,
            bufferSize,
            forwarded,
            data);
    submit(packet);
  }

  void submit(Packet p) {
    ByteBuffer bytes = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(p.sourceCid).putLong(p.destinationCid);
    bytes.putInt(p.sourcePort).putInt(p.destinationPort).putInt(p.length);
    bytes.putShort((short) p.type).putShort((short) p.operation);
    bytes.putInt(p.flags).putInt(p.bufferSize).putInt(p.forwarded);
    // Header and data in different descriptors, the data split once more.
    int head =
        tx.chain(
            DriverQueue.readable(0, 0), DriverQueue.readable(0, 0), DriverQueue.readable(0, 0));
    long address = txMemory + (long) head * BUFFER;
    int half = p.data.length / 2;
    long data = p.data.length == 0 ? address : bulk(p.data.length);
    tx.put(address, bytes.array());
    tx.put(data, p.data);
    int mask = tx.size() - 1;
    long table = tx.descriptors();
    tx.descriptor(table, head, address, HEADER, DriverQueue.NEXT, (head + 1) & mask);
    tx.descriptor(table, (head + 1) & mask, data, half, DriverQueue.NEXT, (head + 2) & mask);
    tx.descriptor(table, (head + 2) & mask, data + half, p.data.length - half, 0, 0);
    tx.offer(head);
    tx.kickIfWanted();
    lastHead = head;
  }

  /** Where the last packet's descriptors begin. */
  int lastHead() {
    return lastHead;
  }

  private long bulkMemory;
  private int bulkNext;

  /** Room for a packet's data; it is reused after 16 packets. */
  private long bulk(int length) {
    if (bulkMemory == 0) {
      bulkMemory = driver.allocate(16 * 160 * 1024);
    }
    assertEquals(true, length <= 160 * 1024);
    return bulkMemory + (bulkNext++ & 15) * 160L * 1024;
  }

  /** The next packet from the device; waits for it. */
  Packet receive() {
    DriverQueue.Used used = rx.take();
    MemorySegment memory =
        driver.memory.slice(rxMemory + (long) used.head() * BUFFER, used.written());
    ByteBuffer b = memory.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    long source = b.getLong();
    long destination = b.getLong();
    int sourcePort = b.getInt();
    int destinationPort = b.getInt();
    int length = b.getInt();
    int type = b.getShort();
    int operation = b.getShort();
    int flags = b.getInt();
    int bufferSize = b.getInt();
    int forwarded = b.getInt();
    byte[] data = new byte[b.remaining()];
    b.get(data);
    assertEquals(length, data.length, "length in the header");
    return new Packet(
        source,
        destination,
        sourcePort,
        destinationPort,
        length,
        type,
        operation,
        flags,
        bufferSize,
        forwarded,
        data);
  }

  /** Receives a packet and checks what it is. */
  Packet expect(int guestPort, int hostPort, int operation) {
    Packet packet = receive();
    assertEquals(operation, packet.operation, () -> "operation of " + packet);
    assertEquals(2, packet.sourceCid);
    assertEquals(3, packet.destinationCid);
    assertEquals(hostPort, packet.sourcePort);
    assertEquals(guestPort, packet.destinationPort);
    assertEquals(1, packet.type);
    return packet;
  }

  /** Checks that the device has nothing to say. */
  void expectNothing() {
    driver.settle();
    if (rx.hasUsed()) {
      throw new AssertionError("unexpected " + receive());
    }
  }

  @Override
  public void close() {
    driver.close();
  }
}
