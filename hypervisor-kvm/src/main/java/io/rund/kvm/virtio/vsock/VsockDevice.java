package io.rund.kvm.virtio.vsock;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A socket device whose host end is in this process. Each VM has its own, so every guest has the
 * same CID. Data goes from a user's buffer straight into the guest's receive buffers; what cannot
 * go now is not taken. Control packets that cannot go are a few bits of each connection, and a
 * bounded ring of resets: when that is full the guest's own sending waits.
 */
public final class VsockDevice implements VirtioDevice {
  private static final Logger log = LoggerFactory.getLogger(VsockDevice.class);

  /** Well-known addresses (5.10.4): the host's, and the first that a guest may have. */
  static final long HOST_CID = 2;

  static final long GUEST_CID = 3;

  /** Connections that are known or not yet over; further ones are refused. */
  static final int MAX_CONNECTIONS = 256;

  private static final int TYPE = 19;
  private static final int QUEUE_SIZE = 256;
  private static final int RX = 0;
  private static final int TX = 1;
  private static final int EVENT = 2;

  /** A struct virtio_vsock_event with VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, which is 0 (5.10.6.7). */
  private static final MemorySegment TRANSPORT_RESET = Arena.global().allocate(Integer.BYTES);

  /** Data of one packet, as Linux bounds it (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). */
  private static final int MAX_PACKET = 64 * 1024;

  /**
   * Bytes of data that a receive buffer must have room for, if there are as many: Linux gives 4
   * KiB, and with smaller ones a guest could make the loop work for each byte.
   */
  private static final int LEAST_ROOM = 1024;

  /** Packets taken from the guest before the loop's other handlers have their turn. */
  private static final int TURN = 64;

  /** Resets that may wait before the guest's own packets have to. */
  private static final int MAX_WAITING_RESETS = 64;

  private final EventLoop loop;
  private final MemorySegment config;
  private final Listeners listeners = new Listeners();

  // On the loop.
  private final VsockHeader in = new VsockHeader();
  private final VsockHeader out = new VsockHeader();
  private final ConnectionTable table = new ConnectionTable();

  /** Connections that are known or not yet over. */
  private final Set<VsockConnection> all = new HashSet<>();

  /** Those with control packets to send, and those whose writer met an empty receive queue. */
  private final Queue<VsockConnection> pending = new ArrayDeque<>();

  private final Queue<VsockConnection> blocked = new ArrayDeque<>();

  /**
   * Ports of the resets to send. Beyond {@link #MAX_WAITING_RESETS} no packet is taken, which
   * leaves at most one more for each connection.
   */
  private final PortRing resets = new PortRing(2 * MAX_CONNECTIONS);

  private Virtqueue rx;
  private Virtqueue tx;
  private Virtqueue events;
  private boolean txWaits;

  /** Whether the guest may not have heard yet that its connections are no more. */
  private boolean resetting;

  /** Buffers for events that it had offered by then. */
  private int eventsOffered;

  /** Whether a kick is being answered, so that {@link #flush} comes at the end. */
  private boolean inTurn;

  public VsockDevice(EventLoop loop) {
    this.loop = loop;
    MemorySegment space = MemorySegment.ofArray(new byte[Long.BYTES]);
    space.set(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0, GUEST_CID);
    config = space.asReadOnly();
  }

  /**
   * As {@link io.rund.core.hypervisor.VirtualMachine#listen}. Any thread.
   *
   * @throws RundException ALREADY_EXISTS if somebody listens on the port
   */
  public AutoCloseable listen(int port, int limit, Consumer<VsockStream> onAccept) {
    return listeners.add(port, limit, onAccept);
  }

  @Override
  public int type() {
    return TYPE;
  }

  @Override
  public long features() {
    return 0;
  }

  @Override
  public int queues() {
    return 3;
  }

  @Override
  public int maxQueueSize() {
    return QUEUE_SIZE;
  }

  @Override
  public MemorySegment config() {
    return config;
  }

  @Override
  public void activate(long features, List<Virtqueue> queues) {
    rx = queues.get(RX);
    tx = queues.get(TX);
    events = queues.get(EVENT);
    txWaits = false;
    resetting = false;
    inTurn = false;
    rx.disableKicks();
  }

  @Override
  public boolean kicked(int queue) {
    inTurn = true;
    boolean more =
        switch (queue) {
          case RX -> sendWaiting();
          case TX -> takePackets();
          default -> false;
        };
    inTurn = false;
    flush();
    return more;
  }

  @Override
  public void reset(Runnable done) {
    List<VsockConnection> ended = List.copyOf(all);
    ended.forEach(connection -> connection.known = false);
    ended.forEach(VsockConnection::end);
    table.clear();
    all.clear();
    pending.clear();
    blocked.clear();
    resets.clear();
    done.run();
  }

  @Override
  public void close() {
    listeners.clear();
  }

  EventLoop loop() {
    return loop;
  }

  // From the guest.

  /** Takes packets; true if there may be more after a full turn. */
  private boolean takePackets() {
    int budget = TURN;
    while (budget > 0) {
      if (resets.size() > MAX_WAITING_RESETS) {
        boolean _ = sendControl();
        txWaits = resets.size() > MAX_WAITING_RESETS;
        if (txWaits) {
          break;
        }
      }
      DescriptorChain chain = tx.pop();
      if (chain != null) {
        packet(chain);
        tx.push(chain.head(), 0);
        budget--;
      } else if (!tx.enableKicks()) {
        break;
      }
    }
    return budget == 0;
  }

  private void packet(DescriptorChain chain) {
    if (chain.readableBytes() < VsockHeader.SIZE) {
      tx.fault("packet of " + chain.readableBytes() + " bytes, shorter than its header");
      return;
    }
    chain.read(0, in.memory, 0, VsockHeader.SIZE);
    if (in.sourceCid() != GUEST_CID
        || in.destinationCid() != HOST_CID
        || in.type() != VsockHeader.TYPE_STREAM) {
      // Not from this guest, not for this host or not of a kind that was offered.
      return;
    }
    VsockConnection connection = table.find(in.sourcePort(), in.destinationPort());
    if (connection != null) {
      connection.received(in, chain);
    } else if (in.operation() == VsockHeader.REQUEST) {
      accept();
    } else if (in.operation() != VsockHeader.RST && !isResetting()) {
      resets.add(in.sourcePort(), in.destinationPort());
    }
  }

  /** A guest that has offered another buffer has taken the event out of the last one. */
  private boolean isResetting() {
    resetting = resetting && events.offered() == eventsOffered;
    return resetting;
  }

  private void accept() {
    Consumer<VsockStream> onAccept = makeRoom() ? listeners.take(in.destinationPort()) : null;
    if (onAccept == null) {
      resets.add(in.sourcePort(), in.destinationPort());
      return;
    }
    VsockConnection connection = new VsockConnection(this, in);
    send(connection, VsockConnection.SEND_RESPONSE);
    begin(connection, onAccept);
  }

  private void begin(VsockConnection connection, Consumer<VsockStream> onAccept) {
    table.add(connection);
    all.add(connection);
    try {
      onAccept.accept(connection);
    } catch (RuntimeException e) {
      log.error("accepting vsock port {} failed", connection.hostPort, e);
      connection.reset();
    }
  }

  /** The connection over which nothing was said yet, if that is all there is. On the loop. */
  public Optional<ConnectionState> state() {
    boolean quiet = pending.isEmpty() && blocked.isEmpty() && resets.isEmpty() && !txWaits;
    return quiet && all.size() == 1 ? all.iterator().next().state() : Optional.empty();
  }

  /** Goes on with a connection of the guest to one of this device's kind. On the loop. */
  public void restore(ConnectionState state) {
    VsockConnection connection = new VsockConnection(this, state);
    Consumer<VsockStream> onAccept = listeners.take(state.hostPort());
    if (onAccept == null) {
      resets.add(state.guestPort(), state.hostPort());
      flush();
    } else {
      begin(connection, onAccept);
    }
  }

  /**
   * Tells the guest that none of its connections is known any more: all of them end at once, before
   * a packet of one could find out. On the loop.
   */
  public void resetTransport() {
    DescriptorChain chain = events.pop();
    if (chain == null || chain.writableBytes() < TRANSPORT_RESET.byteSize()) {
      throw RundException.precondition("the guest takes no events of its socket device");
    }
    chain.write(0, TRANSPORT_RESET, 0, TRANSPORT_RESET.byteSize());
    events.push(chain.head(), TRANSPORT_RESET.byteSize());
    events.flush();
    eventsOffered = events.offered();
    resetting = true;
  }

  /** Whether one more connection may be; gives up one whose user has long closed it, if need be. */
  private boolean makeRoom() {
    if (all.size() < MAX_CONNECTIONS) {
      return true;
    }
    for (VsockConnection connection : all) {
      if (connection.over) {
        resetIfKnown(connection);
        return true;
      }
    }
    return false;
  }

  // To the guest.

  /** The guest has made receive buffers available. */
  private boolean sendWaiting() {
    rx.disableKicks();
    if (sendControl()) {
      for (int n = blocked.size(); n > 0 && rx.hasNext(); n--) {
        VsockConnection connection = blocked.remove();
        connection.inBlocked = false;
        connection.tellWritable();
      }
    }
    boolean _ = sendControl();
    if (txWaits) {
      txWaits = false;
      txWaits = takePackets() || txWaits;
    }
    boolean waiting = txWaits || !blocked.isEmpty() || !pending.isEmpty() || !resets.isEmpty();
    return waiting && rx.enableKicks();
  }

  /** Notes that a connection has control packets to send, which {@link #flush} does. */
  void send(VsockConnection connection, int control) {
    connection.pending |= control;
    if (!connection.inPending) {
      connection.inPending = true;
      pending.add(connection);
    }
  }

  /** Sends the control packets that can go and shows the guest all that was done. */
  void flush() {
    if (inTurn) {
      // One interrupt will serve all that is done meanwhile, in both queues.
      return;
    }
    boolean _ = sendControl();
    boolean wanted = tx.publish();
    if (rx.publish() || wanted) {
      rx.interrupt();
    }
  }

  /** Puts control packets into the guest's buffers; true if none is left. */
  private boolean sendControl() {
    while (!resets.isEmpty() || !pending.isEmpty()) {
      DescriptorChain chain = nextBuffer(0);
      if (chain == null) {
        return false;
      }
      if (!resets.isEmpty()) {
        resetHeader();
      } else {
        controlHeader();
      }
      chain.write(0, out.memory, 0, VsockHeader.SIZE);
      rx.push(chain.head(), VsockHeader.SIZE);
    }
    return true;
  }

  private void resetHeader() {
    out.set(HOST_CID, GUEST_CID, resets.hostPort(), resets.guestPort());
    out.credit(0, 0);
    out.operation(VsockHeader.RST, 0, 0);
    resets.remove();
  }

  private void controlHeader() {
    VsockConnection connection = pending.element();
    int control = Integer.lowestOneBit(connection.pending);
    connection.head(out);
    switch (control) {
      case VsockConnection.SEND_RESPONSE -> out.operation(VsockHeader.RESPONSE, 0, 0);
      case VsockConnection.SEND_CREDIT -> out.operation(VsockHeader.CREDIT_UPDATE, 0, 0);
      default -> out.operation(VsockHeader.SHUTDOWN, connection.shutdownFlags(), 0);
    }
    connection.pending &= ~control;
    if (connection.pending == 0) {
      connection.inPending = false;
      pending.remove();
    }
  }

  /** A receive buffer with room for a header and some data; null, and a kick asked for, if none. */
  private DescriptorChain nextBuffer(int data) {
    DescriptorChain chain = rx.pop();
    while (chain == null) {
      if (!rx.enableKicks()) {
        return null;
      }
      chain = rx.pop();
    }
    if (chain.writableBytes() < VsockHeader.SIZE + data) {
      rx.fault("receive buffer of " + chain.writableBytes() + " bytes");
      return null;
    }
    return chain;
  }

  /**
   * Sends from {@code src} what credit and receive buffers allow; blocks for want of the latter.
   */
  int sendData(VsockConnection connection, ByteBuffer src) {
    MemorySegment data = MemorySegment.ofBuffer(src);
    int total = (int) Math.min(data.byteSize(), connection.credit());
    int taken = 0;
    if (sendControl()) {
      while (taken < total) {
        DescriptorChain chain = nextBuffer(Math.min(total - taken, LEAST_ROOM));
        if (chain == null) {
          break;
        }
        int n = (int) Math.min(total - taken, chain.writableBytes() - VsockHeader.SIZE);
        n = Math.min(n, MAX_PACKET);
        connection.head(out);
        out.operation(VsockHeader.RW, 0, n);
        chain.write(0, out.memory, 0, VsockHeader.SIZE);
        chain.write(VsockHeader.SIZE, data, taken, n);
        rx.push(chain.head(), VsockHeader.SIZE + n);
        connection.addSent(n);
        taken += n;
      }
    }
    flush();
    src.position(src.position() + taken);
    if (taken < total && !connection.inBlocked) {
      connection.inBlocked = true;
      blocked.add(connection);
    }
    return taken;
  }

  // Connections.

  void resetIfKnown(VsockConnection connection) {
    if (connection.known) {
      resets.add(connection.guestPort, connection.hostPort);
      forget(connection);
    }
  }

  /** Packets with its ports are no longer this connection's. */
  void forget(VsockConnection connection) {
    connection.known = false;
    table.remove(connection);
    connection.pending = 0;
    if (connection.inPending) {
      connection.inPending = false;
      pending.remove(connection);
    }
    if (connection.over) {
      all.remove(connection);
    }
  }

  /** Its user was told the end. */
  void ended(VsockConnection connection) {
    if (connection.inBlocked) {
      connection.inBlocked = false;
      blocked.remove(connection);
    }
    if (!connection.known) {
      all.remove(connection);
    }
  }
}
