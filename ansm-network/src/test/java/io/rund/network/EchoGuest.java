package io.rund.network;

import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.network.PodNetwork.Card;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** As much of a guest as answers ARP and ping of IPv4, on a tap. */
final class EchoGuest implements AutoCloseable {
  private static final int HEADER = 12;
  private static final short ETHERTYPE_ARP = 0x0806;
  private static final short ETHERTYPE_IPV4 = 0x0800;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment buffer = arena.allocate(4096, 8);
  private final ByteBuffer frame = buffer.asByteBuffer();
  private final Fd tap;
  private final byte[] mac;
  private final byte[] address;
  private final Thread thread = new Thread(this::run, "guest");
  private volatile boolean ended;

  EchoGuest(Card card, InetAddress address) {
    this.tap = card.nic().tap();
    this.mac = card.nic().mac().bytes();
    this.address = address.getAddress();
    thread.start();
  }

  private void run() {
    while (!ended) {
      int length = (int) Libc.Try.read(tap.number(), buffer.address(), 4096);
      if (length < 0) {
        Thread.onSpinWait();
      } else if (answer()) {
        Libc.Try.write(tap.number(), buffer.address(), length);
      }
    }
  }

  /** Turns a request into its answer. */
  private boolean answer() {
    short type = frame.getShort(HEADER + 12);
    int packet = HEADER + 14;
    if (type == ETHERTYPE_ARP && frame.getShort(packet + 6) == 1) {
      if (!Arrays.equals(bytes(packet + 24, 4), address)) {
        return false;
      }
      frame.putShort(packet + 6, (short) 2);
      frame.put(packet + 18, bytes(packet + 8, 10));
      frame.put(packet + 8, mac).put(packet + 14, address);
    } else if (type == ETHERTYPE_IPV4 && frame.get(packet + 20) == 8) {
      byte[] source = bytes(packet + 12, 4);
      frame.put(packet + 12, bytes(packet + 16, 4)).put(packet + 16, source);
      // Echo reply is type 0; the checksum is larger by the 8 that the type is smaller.
      frame.put(packet + 20, (byte) 0);
      int sum = Short.toUnsignedInt(frame.getShort(packet + 22)) + 0x0800;
      frame.putShort(packet + 22, (short) (sum + (sum >>> 16)));
    } else {
      return false;
    }
    frame.put(HEADER, bytes(HEADER + 6, 6)).put(HEADER + 6, mac);
    return true;
  }

  private byte[] bytes(int at, int length) {
    byte[] bytes = new byte[length];
    frame.get(at, bytes);
    return bytes;
  }

  @Override
  public void close() {
    ended = true;
    while (thread.isAlive()) {
      Thread.onSpinWait();
    }
    arena.close();
  }
}
