package io.rund.kvm.virtio;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import java.lang.invoke.VarHandle;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * The device's end of a split virtqueue (virtio 1.2, 2.7): a view of three areas of guest memory
 * and two counters. Belongs to the event loop, but for {@link #give}; or to several threads, if
 * each holds its lock for whatever it does.
 *
 * <p>A queue in which the guest broke a rule reports it once and is stopped: from then on it is
 * empty and what is pushed to it goes nowhere. Its methods never throw for what the guest did.
 */
public final class Virtqueue {
  /** Where a queue lies in guest memory, as the driver set it up. */
  record Layout(int size, long descriptors, long available, long used) {
    /**
     * Checks what 2.7 and 4.2.3.2 ask for.
     *
     * @throws GuestFault saying what is wrong
     */
    void check(GuestMemory memory, int maxSize) {
      if (size <= 0 || size > maxSize || (size & (size - 1)) != 0) {
        throw new GuestFault("queue size " + size + " is no power of two up to " + maxSize);
      }
      if (descriptors % 16 != 0 || available % 2 != 0 || used % 4 != 0) {
        throw new GuestFault("misaligned queue " + this);
      }
      memory.hostAddress(descriptors, 16L * size);
      memory.hostAddress(available, 6 + 2L * size);
      memory.hostAddress(used, 6 + 8L * size);
    }
  }

  private static final int AVAIL_NO_INTERRUPT = 1;
  private static final int USED_NO_NOTIFY = 1;

  private final GuestMemory memory;
  private final int size;
  private final long descriptors;
  private final long available;
  private final long used;
  private final boolean eventIndex;
  private final Runnable interrupt;
  private final Consumer<String> onFault;
  private final DescriptorChain chain;

  /** The driver's index as last read; everything before it may be popped. */
  private short availableIndex;

  private short nextAvailable;
  private volatile short nextUsed;

  /** The used index the driver has last been shown. */
  private short shownUsed;

  private volatile boolean stopped;

  /** Nothing is taken and nothing written, though there may be something. */
  private volatile boolean held;

  /**
   * @param eventIndex whether VIRTIO_F_EVENT_IDX was negotiated
   * @param indirect whether VIRTIO_F_INDIRECT_DESC was negotiated
   * @param interrupt sends the device's used-buffer interrupt
   * @param onFault told, at most once, which rule the guest broke
   */
  Virtqueue(
      GuestMemory memory,
      Layout layout,
      int maxSize,
      boolean eventIndex,
      boolean indirect,
      Runnable interrupt,
      Consumer<String> onFault) {
    this.memory = memory;
    this.size = layout.size();
    this.descriptors = layout.descriptors();
    this.available = layout.available();
    this.used = layout.used();
    this.eventIndex = eventIndex;
    this.interrupt = interrupt;
    this.onFault = onFault;
    this.chain = new DescriptorChain(memory, maxSize, indirect);
  }

  /**
   * Holds a queue in which every chain that was taken has been given back and shown: it is as if
   * empty, and guest memory is not touched through it, until {@link #letGo}.
   *
   * @return how many chains the driver had made available and got back, modulo 2^16, where another
   *     queue can go on; empty, and the queue is not held, if some are still owed
   */
  synchronized OptionalInt hold() {
    boolean atRest = nextAvailable == nextUsed && shownUsed == nextUsed;
    if (stopped || !atRest) {
      return OptionalInt.empty();
    }
    held = true;
    return OptionalInt.of(Short.toUnsignedInt(nextUsed));
  }

  /** Goes on after {@link #hold}. What came meanwhile is there for who looks. */
  synchronized void letGo() {
    held = false;
  }

  /** The last so many chains that were popped were not: they are popped again. */
  public void putBack(int chains) {
    nextAvailable -= (short) chains;
  }

  /** Whether the driver has been given back, and been shown, all that it has made available. */
  public synchronized boolean isAtRest() {
    return !hasNext() && nextAvailable == nextUsed && shownUsed == nextUsed;
  }

  /** Goes on where a queue was, before the first use. */
  void position(int position) {
    availableIndex = (short) position;
    nextAvailable = (short) position;
    nextUsed = (short) position;
    shownUsed = (short) position;
  }

  /** A queue that the driver did not enable. */
  static Virtqueue absent(GuestMemory memory) {
    Virtqueue queue =
        new Virtqueue(memory, new Layout(1, 0, 0, 0), 0, false, false, () -> {}, _ -> {});
    queue.stopped = true;
    return queue;
  }

  /** Number of entries, which bounds the chains that are popped and not yet pushed. */
  public int size() {
    return size;
  }

  /** Whether the guest has made a chain available. */
  public boolean hasNext() {
    return !stopped && !held && (nextAvailable != availableIndex || refresh());
  }

  /** How many chains the guest has made available so far, modulo 2^16. */
  public int offered() {
    boolean _ = !stopped && refresh();
    return Short.toUnsignedInt(availableIndex);
  }

  /** The next chain, or null if there is none. It is valid until the next call. */
  public DescriptorChain pop() {
    if (!hasNext()) {
      return null;
    }
    try {
      int slot = nextAvailable & (size - 1);
      int head = Short.toUnsignedInt(memory.getShort(available + 4 + 2L * slot));
      chain.load(descriptors, size, head);
    } catch (GuestFault e) {
      fault(e.getMessage());
      return null;
    }
    nextAvailable++;
    return chain;
  }

  /** Reads the driver's index; true if it moved. */
  private boolean refresh() {
    availableIndex = memory.getShort(available + 2);
    // The entries are read after the index that covers them (2.7.13.3).
    VarHandle.acquireFence();
    // Counted from what is still owed, so that a guest cannot have more in flight than its queue
    // holds by offering the same chain again and again.
    short answered = nextUsed;
    int outstanding = (availableIndex - answered) & 0xffff;
    if (outstanding > size || outstanding < ((nextAvailable - answered) & 0xffff)) {
      fault("available index jumps to " + outstanding + " entries in a queue of " + size);
      return false;
    }
    return nextAvailable != availableIndex;
  }

  /**
   * Gives a chain back at once, with an interrupt if the driver wants one. Any thread; a device
   * that answers on several uses nothing else for its answers.
   */
  public synchronized void give(int head, long written) {
    push(head, written);
    flush();
  }

  /**
   * Gives a chain back, with the number of bytes written to it. The driver sees it after {@link
   * #flush}.
   */
  public void push(int head, long written) {
    if (stopped) {
      return;
    }
    short next = nextUsed;
    long entry = used + 4 + 8L * (next & (size - 1));
    memory.putInt(entry, head);
    memory.putInt(entry + 4, (int) written);
    nextUsed = (short) (next + 1);
  }

  /** Shows the driver what was pushed, with an interrupt if it wants one. */
  public void flush() {
    if (publish()) {
      interrupt();
    }
  }

  /**
   * Shows the driver what was pushed; true if it wants an interrupt (2.7.7, 2.7.10), which the
   * caller then sends. One interrupt may serve several queues of a device.
   */
  public boolean publish() {
    short next = nextUsed;
    if (stopped || shownUsed == next) {
      return false;
    }
    VarHandle.releaseFence();
    memory.putShort(used + 2, next);
    // The driver writes what it waits for and then reads the index; we do it the other way round.
    VarHandle.fullFence();
    boolean wanted;
    if (eventIndex) {
      short event = memory.getShort(available + 4 + 2L * size);
      wanted = ((next - event - 1) & 0xffff) < ((next - shownUsed) & 0xffff);
    } else {
      wanted = (memory.getShort(available) & AVAIL_NO_INTERRUPT) == 0;
    }
    shownUsed = next;
    return wanted;
  }

  /** Sends the device's interrupt for used buffers. */
  public void interrupt() {
    interrupt.run();
  }

  /**
   * Asks for a kick at the next chain. Returns true if one has come already: then no kick need
   * follow, and the caller pops.
   */
  public boolean enableKicks() {
    if (stopped || held) {
      return false;
    }
    if (eventIndex) {
      memory.putShort(used + 4 + 8L * size, nextAvailable);
    } else {
      memory.putShort(used, (short) 0);
    }
    VarHandle.fullFence();
    return hasNext();
  }

  /** Tells the driver that kicks are of no use now; some may come nevertheless. */
  public void disableKicks() {
    // With an event index it is enough not to move it on.
    if (!stopped && !held && !eventIndex) {
      memory.putShort(used, (short) USED_NO_NOTIFY);
    }
  }

  /** The guest broke a rule of the device; as if the queue had found it itself. */
  public void fault(String reason) {
    if (!stopped) {
      stopped = true;
      onFault.accept(reason);
    }
  }

  /** Guest memory is not touched through this object again. */
  void stop() {
    stopped = true;
  }
}
