package io.rund.kvm.virtio.net;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.virtio.DeviceHold;
import io.rund.kvm.virtio.DriverQueue;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A card on a real tap, with nothing but the guest's kernel missing. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class NetDeviceTest {
  private static final int ETHERTYPE_TEST = 0x88b5;
  private static final int ETHERTYPE_IPV4 = 0x0800;
  private static final int TCP_HEADERS = 14 + 20 + 20;

  private final Random random = new Random(5);
  private NetGuest guest;

  @BeforeEach
  void setUp() throws Exception {
    guest = new NetGuest();
  }

  @AfterEach
  void tearDown() {
    if (guest != null) {
      guest.close();
    }
  }

  private byte[] frame(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    ByteBuffer frame = ByteBuffer.wrap(bytes);
    frame.put(TapNetwork.MAC.bytes()).put(new byte[] {2, 0, 0, 0, 0, 1});
    frame.putShort((short) ETHERTYPE_TEST);
    return bytes;
  }

  /** An Ethernet frame with one TCP segment, longer than any that is sent. */
  private byte[] segment(int length) {
    byte[] bytes = frame(length);
    ByteBuffer frame = ByteBuffer.wrap(bytes);
    frame.putShort(12, (short) ETHERTYPE_IPV4);
    frame.put(14, (byte) 0x45).put(15, (byte) 0).putShort(16, (short) (length - 14));
    frame.putShort(20, (short) 0).put(22, (byte) 64).put(23, (byte) 6);
    frame.put(46, (byte) 0x50).put(47, (byte) 0x10);
    return bytes;
  }

  /** struct virtio_net_hdr, as of a TCP segment with data in segments of 1448 bytes. */
  private static byte[] header(
      int size, int flags, int type, int length, int gso, int start, int offset) {
    ByteBuffer header = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    header.put((byte) flags).put((byte) type).putShort((short) length).putShort((short) gso);
    header.putShort((short) start).putShort((short) offset);
    return header.array();
  }

  private static byte[] segmentHeader(int size) {
    return header(size, 1, 1, TCP_HEADERS, 1448, 34, 16);
  }

  @Test
  void theCardHasTheAddressAndTheMtuOfTheInterface() {
    assertEquals(0x0a58, Short.reverseBytes((short) guest.driver.transport.read(0x100, 2)));
    assertEquals(0x0200_f40aL, guest.driver.transport.read(0x102, 4));
    assertEquals(1, guest.driver.transport.read(0x106, 2), "link is up");
    assertEquals(1500, guest.driver.transport.read(0x10a, 2));
  }

  @Test
  void framesGoBothWays() {
    guest.start(0);
    guest.post(64, 1536);
    for (int i = 0; i < 20; i++) {
      byte[] out = frame(14 + i * 70);
      guest.send(out);
      byte[] sent = guest.network.receive();
      assertArrayEquals(out, Arrays.copyOfRange(sent, 10, sent.length));
      byte[] in = frame(60 + i * 70);
      guest.network.send(in);
      assertArrayEquals(in, guest.receiveFrame());
      guest.post(1, 1536);
    }
    assertEquals(0, guest.device.dropped());
  }

  @Test
  void aLargeSegmentIsSpreadOverBuffers() {
    guest.start(0);
    guest.post(64, 1536);
    byte[] segment = segment(60_000);
    guest.network.send(segmentHeader(10), segment);
    byte[] packet = guest.receive();
    assertArrayEquals(segment, Arrays.copyOfRange(packet, 12, packet.length));
    assertEquals(1, packet[0], "its checksum is not complete");
    assertEquals(1, packet[1], "it is a TCP segment of IPv4");
    assertEquals(40, packet[10], "buffers");
    byte[] next = frame(100);
    guest.post(40, 1536);
    guest.network.send(next);
    assertArrayEquals(next, guest.receiveFrame());
  }

  @Test
  void aLargeSegmentOfTheGuestArrivesWhole() {
    guest.start(0);
    byte[] segment = segment(60_000);
    guest.send(segmentHeader(12), segment);
    byte[] sent = guest.network.receive();
    assertEquals(1, sent[1], "it is a TCP segment of IPv4");
    assertEquals(10 + 60_000, sent.length);
    assertArrayEquals(segment, Arrays.copyOfRange(sent, 10, sent.length));
  }

  @Test
  void aGuestWithoutOffloadsGetsCompletePacketsOfTheMtu() {
    guest.start(Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.GUEST_TSO6 | Feature.MRG_RXBUF);
    guest.post(16, 1536);
    guest.network.send(segmentHeader(10), segment(TCP_HEADERS + 3 * 1448));
    for (int i = 0; i < 3; i++) {
      byte[] packet = guest.receive();
      assertEquals(12 + TCP_HEADERS + 1448, packet.length);
      assertEquals(0, packet[0], "its checksum is complete");
      assertEquals(0, packet[1], "it is one segment");
      assertEquals(1, packet[10], "buffers");
    }
  }

  @Test
  void whatDoesNotFitIsDroppedAndCountedAndTheNextArrives() {
    guest.start(Feature.MRG_RXBUF);
    guest.post(4, 200);
    guest.network.send(frame(189));
    byte[] small = frame(188);
    guest.network.send(small);
    assertArrayEquals(small, guest.receiveFrame());
    assertEquals(1, guest.device.dropped());
    assertFalse(guest.driver.isBroken());
  }

  @Test
  void packetsWaitForAGuestWithoutRoom() {
    guest.start(0);
    guest.post(10, 1536);
    byte[][] frames = new byte[300][];
    for (int i = 0; i < frames.length; i++) {
      frames[i] = frame(64 + i);
      guest.network.send(frames[i]);
    }
    guest.driver.settle();
    assertFalse(guest.rx().hasUsed());
    guest.post(200, 1536);
    for (byte[] frame : frames) {
      assertArrayEquals(frame, guest.receiveFrame());
      guest.post(1, 1536);
    }
    assertEquals(0, guest.device.dropped());
  }

  @Test
  void whatComesWhileTheDeviceIsHeldComesAfterwards() {
    guest.start(0);
    guest.post(64, 1536);
    byte[] before = frame(100);
    guest.network.send(before);
    assertArrayEquals(before, guest.receiveFrame());
    DeviceHold holder = guest.driver.transport.holder();
    guest.driver.onLoop(() -> assertTrue(holder.hold().isPresent()));
    byte[] toGuest = frame(200);
    guest.network.send(toGuest);
    byte[] toHost = frame(300);
    guest.tx().submit(guest.tx().bytes(NetGuest.concat(new byte[12], toHost)));
    guest.driver.settle();
    assertFalse(guest.rx().hasUsed());
    assertFalse(guest.tx().hasUsed());
    guest.driver.onLoop(holder::letGo);
    assertArrayEquals(toGuest, guest.receiveFrame());
    byte[] sent = guest.network.receive();
    assertArrayEquals(toHost, Arrays.copyOfRange(sent, 10, sent.length));
  }

  @Test
  void headersThatLieCostTheirPacket() {
    guest.start(0);
    byte[] segment = segment(4000);
    byte[][] lies = {
      header(12, 2, 0, 0, 0, 0, 0), // DATA_VALID is for the device to say
      header(12, 1, 0, 0, 0, 3999, 0), // a checksum beyond the end
      header(12, 1, 0, 0, 0, 0xffff, 0xffff),
      header(12, 1, 0, 0, 0, 3, 2), // a checksum in the Ethernet header
      header(12, 0, 1, 54, 1448, 34, 16), // segments without a checksum
      header(12, 1, 1, 54, 0, 34, 16), // segments of no bytes
      header(12, 1, 1, 5000, 1448, 34, 16), // headers longer than the packet
      header(12, 1, 3, 54, 1448, 34, 16), // UDP fragments were not negotiated
      header(12, 1, 0x81, 54, 1448, 34, 16), // nor ECN
      header(12, 1, 4, 54, 1448, 34, 16), // the kernel: IPv4 is not IPv6
    };
    for (byte[] lie : lies) {
      guest.send(lie, segment);
    }
    guest.send(new byte[13]);
    assertEquals(lies.length + 1, guest.device.dropped());
    assertFalse(guest.driver.isBroken());
    byte[] good = frame(100);
    guest.send(good);
    byte[] sent = guest.network.receive();
    assertArrayEquals(good, Arrays.copyOfRange(sent, 10, sent.length));
  }

  @Test
  void offloadsThatWereNotNegotiatedAreRefused() {
    guest.start(Feature.HOST_TSO4);
    guest.send(segmentHeader(12), segment(4000));
    assertEquals(1, guest.device.dropped());
  }

  @Test
  void anImpossiblyLongFrameIsDropped() {
    guest.start(0);
    long memory = guest.driver.allocate(70_000);
    guest.tx().submit(DriverQueue.readable(memory, 70_000));
    guest.tx().take();
    assertEquals(1, guest.device.dropped());
  }

  @Test
  void aPacketWithoutAWholeHeaderBreaksTheDevice() {
    guest.start(0);
    guest.tx().submit(guest.tx().bytes(new byte[11]));
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
  }

  @Test
  void aReceiveBufferThatCannotBeOneBreaksTheDevice() {
    guest.start(0);
    guest.post(1, 11);
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
    guest.driver.settle();
    guest.start(0);
    guest.rx().submit(guest.rx().bytes(new byte[1500]));
    guest.driver.awaitTrue("the device is broken again", guest.driver::isBroken);
    guest.start(0);
    guest.post(64, 1536);
    byte[] frame = frame(64);
    guest.network.send(frame);
    assertArrayEquals(frame, guest.receiveFrame());
  }

  @Test
  void aTapThatIsDownLosesPacketsAndNothingElse() {
    guest.start(0);
    guest.post(64, 1536);
    guest.network.up(false);
    guest.send(frame(64));
    assertEquals(1, guest.device.dropped());
    guest.network.up(true);
    byte[] frame = frame(64);
    guest.network.send(frame);
    assertArrayEquals(frame, guest.receiveFrame());
  }

  @Test
  void aTapThatIsDeletedEndsTheTrafficAndNothingElse() throws Exception {
    guest.start(0);
    guest.post(64, 1536);
    guest.network.delete();
    guest.send(frame(64));
    guest.send(frame(64));
    assertEquals(2, guest.device.dropped());
    assertFalse(guest.driver.isBroken());
    guest.start(0);
    guest.post(64, 1536);
    guest.send(frame(64));
    assertFalse(guest.driver.isBroken());
  }

  @Test
  void steadyTrafficAllocatesNothing() {
    guest.start(0);
    guest.post(128, 1536);
    byte[] frame = frame(1000);
    DriverQueue.Buffer packet = guest.tx().bytes(NetGuest.concat(new byte[12], frame));
    guest.driver.awaitNoAllocation(
        () -> {
          for (int i = 0; i < 100; i++) {
            guest.tx().submit(packet);
            guest.tx().take();
            guest.network.receive();
            guest.network.send(frame);
            guest.rx().take();
            guest.post(1, 1536);
          }
        });
  }

  @Test
  void anyBytesInTheRingsDoNoHarm() {
    for (int round = 0; round < 40; round++) {
      guest.start(random.nextBoolean() ? 0 : random.nextLong() & Feature.OFFERED);
      for (int i = 0; i < 50 && !guest.driver.isBroken(); i++) {
        DriverQueue queue = random.nextBoolean() ? guest.rx() : guest.tx();
        int descriptors = 1 + random.nextInt(4);
        for (int d = 0; d < descriptors; d++) {
          long address = random.nextInt(50) == 0 ? random.nextLong() : random.nextInt(16 << 20);
          long length =
              random.nextInt(50) == 0 ? random.nextInt() : random.nextInt(1 << random.nextInt(17));
          int flags = (queue == guest.rx() ? 2 : 0) | (d + 1 < descriptors ? 1 : 0);
          flags ^= random.nextInt(60) == 0 ? random.nextInt(8) : 0;
          queue.descriptor(queue.descriptors(), d, address & ~1L, length, flags, d + 1);
        }
        queue.offer(0);
        queue.kick();
        guest.network.send(frame(60 + random.nextInt(1400)));
      }
      guest.driver.settle();
    }
  }
}
