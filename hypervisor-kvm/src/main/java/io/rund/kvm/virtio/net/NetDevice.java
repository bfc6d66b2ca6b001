package io.rund.kvm.virtio.net;

import com.sun.jna.LastErrorException;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A network card (virtio 1.2, 5.1) with one pair of queues. Frames go between a tap and guest RAM
 * with no copy in between, on the event loop. The tap is listened to only while the guest has room
 * for a packet, so a guest that does not take its packets loses them in the tap's queue and costs
 * nothing.
 */
public final class NetDevice implements VirtioDevice {
  private static final Logger log = LoggerFactory.getLogger(NetDevice.class);

  private static final int TYPE = 1;
  private static final int QUEUE_SIZE = 256;
  private static final int RX = 0;
  private static final int TX = 1;

  /** VIRTIO_NET_S_LINK_UP (5.1.4). */
  private static final short LINK_UP = 1;

  /** Bytes of struct virtio_net_config as far as the MTU (5.1.4). */
  private static final int CONFIG_SIZE = 12;

  /** Ethernet header and VLAN tag, which come on top of the MTU. */
  private static final int FRAME_OVERHEAD = 18;

  /**
   * Frames, and bytes of them, in one direction before the loop's other handlers have their turn.
   */
  private static final int TURN = 64;

  private static final int TURN_BYTES = 512 * 1024;

  /** What a piece of a frame counts besides its bytes: the host may have to find a page for it. */
  private static final int PIECE_BYTES = 1024;

  private final String name;
  private final GuestMemory memory;
  private final EventLoop loop;
  private final int mtu;
  private final Tap tap;
  private final MemorySegment config;
  private final AtomicLong dropped = new AtomicLong();

  // On the loop.
  private final SendHeader header = new SendHeader();
  private final IoVector frame = new IoVector(QUEUE_SIZE + 1);
  private final ReceiveBuffers buffers;
  private final EventLoop.Handler handler = new TapHandler();
  private Virtqueue rx;
  private Virtqueue tx;
  private long features;
  private EventLoop.Registration registration;
  private boolean listening;

  /** Bytes of the largest packet that the tap may have, with its header. */
  private int largest;

  /** Frames of the tap. */
  private final class TapHandler implements EventLoop.Handler {
    @Override
    public void ready(int events) {
      if ((events & Linux.EPOLLIN) == 0) {
        tapIsGone();
      } else {
        receive();
      }
    }

    @Override
    public void failed(Throwable cause) {
      registration = null;
      rx.fault("device failed: " + cause);
    }
  }

  /** The device owns the tap, also if this throws. */
  public NetDevice(GuestMemory memory, EventLoop loop, NicConfig nic) {
    this.name = nic.name();
    this.memory = memory;
    this.loop = loop;
    this.mtu = nic.mtu();
    this.tap = new Tap(nic.tap());
    this.buffers = new ReceiveBuffers(memory, QUEUE_SIZE);
    this.config = configSpace(nic);
  }

  private static MemorySegment configSpace(NicConfig nic) {
    ValueLayout.OfShort u16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    MemorySegment config = MemorySegment.ofArray(new byte[CONFIG_SIZE]);
    config.copyFrom(MemorySegment.ofArray(nic.mac().bytes()));
    config.set(u16, 6, LINK_UP);
    config.set(u16, 8, (short) 1);
    config.set(u16, 10, (short) nic.mtu());
    return config.asReadOnly();
  }

  @Override
  public int type() {
    return TYPE;
  }

  @Override
  public long features() {
    return Feature.OFFERED;
  }

  @Override
  public int queues() {
    return 2;
  }

  @Override
  public int maxQueueSize() {
    return QUEUE_SIZE;
  }

  @Override
  public MemorySegment config() {
    return config;
  }

  /** Packets that could not be handed over, in either direction. Any thread. */
  public long dropped() {
    return dropped.get();
  }

  @Override
  public void negotiated(long features) {
    try {
      tap.offload(features);
    } catch (LastErrorException e) {
      log.warn("interface {}: its tap is gone: {}", name, e.getMessage());
    }
  }

  @Override
  public void activate(long features, List<Virtqueue> queues) {
    rx = queues.get(RX);
    tx = queues.get(TX);
    this.features = features;
    buffers.clear();
    listening = false;
    try {
      registration = loop.register(tap.number(), 0, handler);
    } catch (LastErrorException e) {
      // The guest's frames will find out again, and are dropped.
      log.warn("interface {}: its tap is gone: {}", name, e.getMessage());
    }
    largest =
        NicConfig.HEADER_SIZE
            + (tap.segments() ? SendHeader.MAX_FRAME : Math.max(mtu, 1500) + FRAME_OVERHEAD);
    listenIfThereIsRoom();
  }

  @Override
  public boolean kicked(int queue) {
    if (queue == TX) {
      return send();
    }
    listenIfThereIsRoom();
    return false;
  }

  @Override
  public void settle() {
    rx.putBack(buffers.chains());
    buffers.clear();
  }

  // From the guest.

  private boolean send() {
    long bytes = 0;
    for (int budget = TURN; budget > 0 && bytes < TURN_BYTES; ) {
      DescriptorChain chain = tx.pop();
      if (chain == null) {
        tx.flush();
        if (!tx.enableKicks()) {
          return false;
        }
        continue;
      }
      if (chain.readableBytes() < NicConfig.HEADER_SIZE) {
        tx.fault("packet of " + chain.readableBytes() + " bytes, without a whole header");
        return false;
      }
      bytes += chain.readableBytes() + (long) chain.count() * PIECE_BYTES;
      budget--;
      if (!header.load(chain, features) || !send(chain)) {
        dropped.incrementAndGet();
      }
      tx.push(chain.head(), 0);
    }
    tx.flush();
    return true;
  }

  private boolean send(DescriptorChain chain) {
    frame.clear();
    frame.add(header.address(), NicConfig.HEADER_SIZE);
    long skip = NicConfig.HEADER_SIZE;
    for (int i = 0; i < chain.readable(); i++) {
      long length = chain.length(i);
      if (skip < length) {
        frame.add(memory.hostAddress(chain.address(i), length) + skip, length - skip);
        skip = 0;
      } else {
        skip -= length;
      }
    }
    // EIO: the tap is down. EINVAL: the kernel finds the frame not to be what its header says.
    return tap.write(frame) >= 0;
  }

  // To the guest.

  /** Takes the guest's buffers, and listens to the tap if there is room for any packet. */
  private void listenIfThereIsRoom() {
    if (registration == null) {
      return;
    }
    boolean room = takeBuffers();
    while (!room && rx.enableKicks()) {
      room = takeBuffers();
    }
    if (room != listening) {
      listening = room;
      registration.interest(room ? Linux.EPOLLIN : 0);
    }
  }

  /**
   * Whether there is room for the largest packet, or all the room that the guest will ever give. A
   * guest whose buffers are short of that is about to make more.
   */
  private boolean takeBuffers() {
    boolean mergeable = Feature.has(features, Feature.MRG_RXBUF);
    while (buffers.hasRoom() && (buffers.bytes() <= largest || !mergeable)) {
      DescriptorChain chain = rx.pop();
      if (chain == null) {
        break;
      }
      if (chain.writableBytes() < NicConfig.HEADER_SIZE || chain.readable() > 0) {
        rx.fault("receive buffer with no room for a header, or not writable");
        return false;
      }
      buffers.add(chain);
    }
    return buffers.chains() > 0
        && (!mergeable
            || buffers.bytes() > largest
            || !buffers.hasRoom()
            || buffers.chains() >= rx.size());
  }

  private void receive() {
    boolean mergeable = Feature.has(features, Feature.MRG_RXBUF);
    long bytes = 0;
    for (int budget = TURN; budget > 0 && bytes < TURN_BYTES && takeBuffers(); budget--) {
      long length = tap.read(buffers.vector(), buffers.entries(largest));
      if (length < 0) {
        if (Tap.isGone(length)) {
          tapIsGone();
        }
        break;
      }
      bytes += length;
      if (length > largest || !buffers.give(rx, length, mergeable)) {
        dropped.incrementAndGet();
      }
    }
    rx.flush();
    listenIfThereIsRoom();
  }

  /** Somebody has deleted the interface: no more frames come, and none go. */
  private void tapIsGone() {
    if (registration != null) {
      registration.close();
      registration = null;
      log.warn("interface {}: its tap has been deleted on the host; no network any more", name);
    }
  }

  @Override
  public void reset(Runnable done) {
    if (registration != null) {
      registration.close();
      registration = null;
    }
    done.run();
  }

  @Override
  public void close() {
    if (dropped.get() > 0) {
      log.info("interface {}: {} packets were dropped", name, dropped.get());
    }
    tap.close();
  }
}
