package io.rund.kvm.virtio.vsock;

import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.virtio.DescriptorChain;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection, as the guest sees it on the wire and its user sees it as a stream.
 *
 * <p>It is <em>known</em> while packets with its ports belong to it: until a RST has gone either
 * way. It is <em>over</em> once its user was told so. The two end in either order: a user that
 * closes first leaves a connection that waits for the guest's RST, and a guest that ends first
 * leaves one whose last bytes wait for the user.
 */
final class VsockConnection implements VsockStream {
  private static final Logger log = LoggerFactory.getLogger(VsockConnection.class);

  /** Packets that wait for room in the guest's receive queue, in the order in which they go. */
  static final int SEND_RESPONSE = 1;

  static final int SEND_CREDIT = 2;
  static final int SEND_SHUTDOWN = 4;

  /**
   * Bytes sent before the guest must have acknowledged some, whatever buffer it claims to have: so
   * one writer cannot keep the loop to itself.
   */
  private static final long MAX_UNDERWAY = 1 << 20;

  private enum Event {
    READABLE,
    WRITABLE,
    CLOSED
  }

  private final VsockDevice device;
  final int guestPort;
  final int hostPort;
  private Handler handler;

  /** The next in its bucket of the table. */
  VsockConnection next;

  /** Whether it is in the device's queue of control packets, of blocked writers. */
  boolean inPending;

  boolean inBlocked;
  int pending;
  boolean known = true;
  boolean over;
  private boolean userClosed;
  private boolean wantsCredit;

  // From the guest. Counters are bytes modulo 2^32.
  private ReceiveBuffer buffer;
  private int received;
  private int forwarded;
  private int forwardedTold;
  private boolean inputEnded;

  // To the guest.
  private int sent;
  private int guestBufferSize;
  private int guestForwarded;
  private boolean outputEnded;
  private boolean guestRefuses;

  /** What the REQUEST in {@code header} asks for. */
  VsockConnection(VsockDevice device, VsockHeader header) {
    this.device = device;
    this.guestPort = header.sourcePort();
    this.hostPort = header.destinationPort();
    this.guestBufferSize = header.bufferSize();
    this.guestForwarded = header.forwarded();
  }

  /** Goes on with a connection over which nothing was said yet. */
  VsockConnection(VsockDevice device, ConnectionState state) {
    this.device = device;
    this.guestPort = state.guestPort();
    this.hostPort = state.hostPort();
    this.guestBufferSize = state.guestBufferSize();
  }

  /** Empty if something was said, or is to be said. */
  Optional<ConnectionState> state() {
    boolean fresh = sent == 0 && received == 0 && pending == 0 && !inputEnded && !guestRefuses;
    return fresh && known && !over && !userClosed
        ? Optional.of(new ConnectionState(guestPort, hostPort, guestBufferSize))
        : Optional.empty();
  }

  // What the guest sent.

  /** A packet with this connection's ports; its data is in the chain behind the header. */
  void received(VsockHeader header, DescriptorChain chain) {
    guestBufferSize = header.bufferSize();
    guestForwarded = header.forwarded();
    switch (header.operation()) {
      case VsockHeader.RW -> receivedData(header, chain);
      case VsockHeader.SHUTDOWN -> receivedShutdown(header.flags());
      case VsockHeader.CREDIT_REQUEST -> device.send(this, SEND_CREDIT);
      case VsockHeader.CREDIT_UPDATE -> {
        // What it says was noted above.
      }
      case VsockHeader.RST -> receivedReset();
      default -> reset();
    }
    if (wantsCredit && known && credit() > 0) {
      wantsCredit = false;
      tellWritable();
    }
  }

  private void receivedData(VsockHeader header, DescriptorChain chain) {
    long length = header.length();
    if (length != chain.readableBytes() - VsockHeader.SIZE
        || length > ReceiveBuffer.CAPACITY - Integer.toUnsignedLong(received - forwarded)
        || inputEnded) {
      reset();
      return;
    }
    received += (int) length;
    if (userClosed) {
      forwarded += (int) length;
      return;
    }
    if (length > 0) {
      if (buffer == null) {
        buffer = ReceiveBuffer.take();
      }
      buffer.put(chain, VsockHeader.SIZE, (int) length);
      tellReadable();
    }
  }

  private void receivedShutdown(int flags) {
    boolean refuses = guestRefuses || (flags & VsockHeader.SHUTDOWN_RECEIVE) != 0;
    boolean ended = inputEnded || (flags & VsockHeader.SHUTDOWN_SEND) != 0;
    if (refuses && ended) {
      // The guest waits for this before it forgets the ports.
      device.resetIfKnown(this);
    }
    noteEnds(refuses, ended);
  }

  private void receivedReset() {
    device.forget(this);
    noteEnds(true, true);
  }

  /**
   * The guest takes no more, sends no more. When it does neither, the stream is over as soon as its
   * user has read to the end: not before, since bytes may wait with the user too.
   */
  private void noteEnds(boolean refuses, boolean ended) {
    if (refuses && !guestRefuses) {
      guestRefuses = true;
      tellWritable();
    }
    if (ended && !inputEnded) {
      inputEnded = true;
      tellReadable();
    }
  }

  /** Ends the connection because of a broken rule or a failed user. */
  void reset() {
    device.resetIfKnown(this);
    end();
  }

  /** Tells the user that it is over, once; bytes that were not read are dropped. */
  void end() {
    if (!over) {
      over = true;
      dropBuffer();
      device.ended(this);
      tell(Event.CLOSED);
    }
  }

  private void tellReadable() {
    if (!over && !userClosed) {
      tell(Event.READABLE);
    }
  }

  void tellWritable() {
    if (!over && !userClosed) {
      tell(Event.WRITABLE);
    }
  }

  /** A user that throws loses its connection; the device and its other users go on. */
  private void tell(Event event) {
    if (handler == null) {
      return;
    }
    try {
      switch (event) {
        case READABLE -> handler.readable();
        case WRITABLE -> handler.writable();
        case CLOSED -> handler.closed();
      }
    } catch (RuntimeException e) {
      log.error("user of vsock port {} failed", hostPort, e);
      reset();
    }
  }

  // What the user does.

  @Override
  public void handler(Handler handler) {
    this.handler = handler;
  }

  @Override
  public EventLoop loop() {
    return device.loop();
  }

  @Override
  public int read(ByteBuffer dst) {
    if (buffer == null) {
      if (inputEnded && guestRefuses && !over) {
        // Not from inside the user's own call.
        device.loop().execute(this::end);
      }
      return inputEnded || userClosed || over ? -1 : 0;
    }
    int n = buffer.get(dst);
    forwarded += n;
    if (buffer.size() == 0) {
      dropBuffer();
    }
    if (known && !inputEnded && forwarded - forwardedTold >= ReceiveBuffer.CAPACITY / 2) {
      device.send(this, SEND_CREDIT);
      device.flush();
    }
    return n;
  }

  private void dropBuffer() {
    if (buffer != null) {
      buffer.giveBack();
      buffer = null;
    }
  }

  @Override
  public int write(ByteBuffer src) {
    if (outputEnded || userClosed || over || !src.hasRemaining()) {
      return 0;
    }
    if (guestRefuses) {
      // As a pipe would lose what its reader does not want: the user sees the end as closed().
      int lost = src.remaining();
      src.position(src.limit());
      return lost;
    }
    int taken = device.sendData(this, src);
    if (src.hasRemaining() && !inBlocked) {
      wantsCredit = true;
    }
    return taken;
  }

  @Override
  public void shutdownOutput() {
    if (!outputEnded && !userClosed && known) {
      outputEnded = true;
      device.send(this, SEND_SHUTDOWN);
      device.flush();
    }
  }

  @Override
  public void close() {
    if (userClosed || over) {
      return;
    }
    userClosed = true;
    outputEnded = true;
    dropBuffer();
    if (known) {
      device.send(this, SEND_SHUTDOWN);
    }
    device.flush();
    device.loop().execute(this::end);
  }

  // What goes to the guest.

  /** How many bytes the guest has room for (5.10.6.3). */
  int credit() {
    long underway = Integer.toUnsignedLong(sent - guestForwarded);
    long room = Math.min(Integer.toUnsignedLong(guestBufferSize), MAX_UNDERWAY) - underway;
    return Math.clamp(room, 0, Integer.MAX_VALUE);
  }

  void addSent(int bytes) {
    sent += bytes;
  }

  /** Completes a header that goes to the guest, which tells what we have taken so far. */
  void head(VsockHeader header) {
    header.set(VsockDevice.HOST_CID, VsockDevice.GUEST_CID, hostPort, guestPort);
    header.credit(ReceiveBuffer.CAPACITY, forwarded);
    forwardedTold = forwarded;
  }

  int shutdownFlags() {
    return userClosed ? VsockHeader.SHUTDOWN_BOTH : VsockHeader.SHUTDOWN_SEND;
  }
}
