package io.rund.kvm.virtio;

import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/** The driver's end of a split virtqueue, in guest memory. */
public final class DriverQueue {
  public static final int NEXT = 1;
  public static final int WRITE = 2;
  public static final int INDIRECT = 4;

  /** One buffer of a chain. */
  public record Buffer(long address, long length, boolean writable) {}

  /** A chain that the device gave back. */
  public record Used(int head, int written) {}

  private final GuestDriver driver;
  private final GuestMemory memory;
  private final int index;
  private final boolean eventIndex;
  final int size;
  final long descriptors;
  final long available;
  final long used;
  private short nextAvailable;
  private short nextUsed;
  private short kicked;
  private int nextDescriptor;

  DriverQueue(GuestDriver driver, int index, int size, boolean eventIndex) {
    this.driver = driver;
    this.memory = driver.memory;
    this.index = index;
    this.eventIndex = eventIndex;
    this.size = size;
    descriptors = driver.queueArea(index, 0, 16 * size);
    available = driver.queueArea(index, 1, 6 + 2 * size);
    used = driver.queueArea(index, 2, 6 + 8 * size);
  }

  void clear() {
    memory.slice(descriptors, 16L * size).fill((byte) 0);
    memory.slice(available, 6 + 2L * size).fill((byte) 0);
    memory.slice(used, 6 + 8L * size).fill((byte) 0);
  }

  public long descriptors() {
    return descriptors;
  }

  public int size() {
    return size;
  }

  public static Buffer readable(long address, long length) {
    return new Buffer(address, length, false);
  }

  public static Buffer writable(long address, long length) {
    return new Buffer(address, length, true);
  }

  /** Guest memory with these bytes in it, as a readable buffer. */
  public Buffer bytes(byte[] bytes) {
    long address = driver.allocate(bytes.length);
    put(address, bytes);
    return readable(address, bytes.length);
  }

  public void put(long address, byte[] bytes) {
    MemorySegment.copy(
        MemorySegment.ofArray(bytes), 0, memory.slice(address, bytes.length), 0, bytes.length);
  }

  public byte[] get(long address, int length) {
    return memory.slice(address, length).toArray(ValueLayout.JAVA_BYTE);
  }

  public void descriptor(long table, int i, long address, long length, int flags, int next) {
    memory.putLong(table + 16L * i, address);
    memory.putInt(table + 16L * i + 8, (int) length);
    memory.putShort(table + 16L * i + 12, (short) flags);
    memory.putShort(table + 16L * i + 14, (short) next);
  }

  /** Writes a chain into the next descriptors, round and round; returns its head. */
  public int chain(Buffer... buffers) {
    int head = nextDescriptor;
    for (int i = 0; i < buffers.length; i++) {
      int at = nextDescriptor;
      nextDescriptor = (nextDescriptor + 1) & (size - 1);
      int flags = (buffers[i].writable() ? WRITE : 0) | (i + 1 < buffers.length ? NEXT : 0);
      descriptor(descriptors, at, buffers[i].address(), buffers[i].length(), flags, nextDescriptor);
    }
    return head;
  }

  /** Makes the chain at {@code head} available, without a kick. */
  public void offer(int head) {
    memory.putShort(available + 4 + 2L * (nextAvailable & (size - 1)), (short) head);
    nextAvailable++;
    VarHandle.releaseFence();
    memory.putShort(available + 2, nextAvailable);
  }

  /** Makes a chain of these buffers available and kicks if the device wants that. */
  public int submit(Buffer... buffers) {
    int head = chain(buffers);
    offer(head);
    kickIfWanted();
    return head;
  }

  public void kickIfWanted() {
    VarHandle.fullFence();
    boolean wanted;
    if (eventIndex) {
      short event = memory.getShort(used + 4 + 8L * size);
      wanted = ((nextAvailable - event - 1) & 0xffff) < ((nextAvailable - kicked) & 0xffff);
    } else {
      wanted = (memory.getShort(used) & 1) == 0;
    }
    kicked = nextAvailable;
    if (wanted) {
      driver.kick(index);
    }
  }

  public void kick() {
    driver.kick(index);
  }

  /** Sets the available index, for a driver that lies. */
  public void availableIndex(int value) {
    memory.putShort(available + 2, (short) value);
  }

  /** Asks for an interrupt after the next {@code n} used chains (used_event). */
  public void interruptAfter(int n) {
    memory.putShort(available + 4 + 2L * size, (short) (nextUsed + n - 1));
  }

  public void interruptsOff(boolean off) {
    memory.putShort(available, (short) (off ? 1 : 0));
  }

  public boolean hasUsed() {
    short shown = memory.getShort(used + 2);
    VarHandle.acquireFence();
    return shown != nextUsed;
  }

  /** Whether the device has begun all that was offered and asks for a kick at the next. */
  public boolean isBegun() {
    return memory.getShort(used + 4 + 8L * size) == nextAvailable;
  }

  /** The next used chain; waits for it. */
  public Used take() {
    driver.awaitTrue("queue " + index + " has a used chain", this::hasUsed);
    long entry = used + 4 + 8L * (nextUsed & (size - 1));
    nextUsed++;
    return new Used(memory.getInt(entry), memory.getInt(entry + 4));
  }
}
