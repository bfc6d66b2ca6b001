package io.rund.kvm.virtio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.kvm.bus.IrqLine;
import io.rund.kvm.bus.KickRegistry;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/**
 * The guest's side of a device, without a guest: sets the device up through its registers as
 * Linux's virtio_mmio.c does and works its queues in guest memory. It can also break every rule.
 */
public final class GuestDriver implements AutoCloseable {
  public static final int STATUS = 0x070;
  private static final long TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(20);

  private final Map<Integer, Fd> kicks = new ConcurrentHashMap<>();
  private final Map<String, Long> queueAreas = new HashMap<>();
  private final AtomicInteger interrupts = new AtomicInteger();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1L);

  public final GuestMemory memory = GuestMemory.allocate("driver", 16 << 20);
  public final EventLoop loop = new EventLoop("driver-loop");
  public final VirtioMmioTransport transport =
      new VirtioMmioTransport(
          "test slot", memory, loop, new CountingIrq(), new Kicks(), 0xd000_0000L);
  public final List<DriverQueue> queues = new ArrayList<>();

  /** The first address that {@link #allocate} has not given away. */
  private long free = 0x1000;

  private long accepted;

  private final class CountingIrq implements IrqLine {
    @Override
    public void raise() {
      interrupts.incrementAndGet();
    }

    @Override
    public int gsi() {
      return 5;
    }
  }

  private final class Kicks implements KickRegistry {
    @Override
    public void assignKick(Fd eventFd, long address, int value) {
      assertEquals(0xd000_0050L, address);
      kicks.put(value, eventFd);
    }

    @Override
    public void removeKick(Fd eventFd, long address, int value) {
      assertTrue(kicks.remove(value, eventFd));
    }
  }

  public int read(int register) {
    return (int) transport.read(register, 4);
  }

  public void write(int register, int value) {
    transport.write(register, 4, Integer.toUnsignedLong(value));
  }

  /** Where a queue's area is: the same again after a reset. */
  long queueArea(int index, int part, int bytes) {
    return queueAreas.computeIfAbsent(
        "queue " + index + " part " + part + " of " + bytes, _ -> allocate(bytes));
  }

  /** Guest memory that nothing else uses, all zero. */
  public long allocate(int bytes) {
    long address = free;
    free += (bytes + 15) & ~15;
    assertTrue(free <= memory.size(), "the test needs more guest memory");
    return address;
  }

  /** Sets up all queues with all features but those in {@code without}. */
  public GuestDriver start(long without) {
    write(STATUS, 0);
    write(STATUS, 1);
    write(STATUS, 3);
    long offered = offeredFeatures();
    acceptFeatures(offered & ~without);
    write(STATUS, 11);
    assertEquals(11, read(STATUS), "the device refuses the features");
    queues.clear();
    while (setUpQueue(queues.size(), 0)) {
      // Until there is none.
    }
    write(STATUS, 15);
    assertEquals(15, read(STATUS));
    return this;
  }

  public GuestDriver start() {
    return start(0);
  }

  public long offeredFeatures() {
    write(0x014, 0);
    long low = Integer.toUnsignedLong(read(0x010));
    write(0x014, 1);
    return low | (long) read(0x010) << 32;
  }

  public void acceptFeatures(long features) {
    accepted = features;
    write(0x024, 0);
    write(0x020, (int) features);
    write(0x024, 1);
    write(0x020, (int) (features >>> 32));
  }

  /** Sets up a queue of {@code size} or, if that is 0, of the largest; false if there is none. */
  public boolean setUpQueue(int index, int size) {
    write(0x030, index);
    int max = read(0x034);
    if (max == 0) {
      return false;
    }
    boolean eventIndex = (accepted & VirtioMmioTransport.F_EVENT_IDX) != 0;
    DriverQueue queue = new DriverQueue(this, index, size == 0 ? max : size, eventIndex);
    queue.clear();
    setUpQueue(queue.size, queue.descriptors, queue.available, queue.used);
    queues.add(queue);
    return true;
  }

  /** Writes the selected queue's registers. */
  public void setUpQueue(int size, long descriptors, long available, long used) {
    write(0x038, size);
    write(0x080, (int) descriptors);
    write(0x084, (int) (descriptors >>> 32));
    write(0x090, (int) available);
    write(0x094, (int) (available >>> 32));
    write(0x0a0, (int) used);
    write(0x0a4, (int) (used >>> 32));
    write(0x044, 1);
  }

  public DriverQueue queue(int index) {
    return queues.get(index);
  }

  /** Writes QueueNotify, as KVM would tell it. */
  public void kick(int queue) {
    Fd fd = kicks.get(queue);
    if (fd != null) {
      Libc.Try.write(fd.number(), one.address(), 8);
    }
  }

  /** Runs what the loop has been given so far, and one round of handlers. */
  public void settle() {
    for (int i = 0; i < 2; i++) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      loop.execute(() -> done.complete(null));
      done.join();
    }
  }

  public void onLoop(Runnable task) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    loop.execute(
        () -> {
          try {
            task.run();
            done.complete(null);
          } catch (Throwable t) {
            done.completeExceptionally(t);
          }
        });
    done.join();
  }

  /** What a snapshot has of the slot, whose device goes on. */
  public Optional<TransportState> state() {
    DeviceHold holder = transport.holder();
    try {
      return CompletableFuture.supplyAsync(holder::hold, loop).join();
    } finally {
      onLoop(holder::letGo);
    }
  }

  public void awaitTrue(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + TIMEOUT_NANOS;
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, () -> "timed out waiting until " + what);
      Thread.onSpinWait();
    }
  }

  /**
   * Repeats {@code work} until the loop's thread allocates nothing for it: the compiler needs some
   * rounds to see that objects are not needed.
   */
  public void awaitNoAllocation(Runnable work) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    AtomicLong id = new AtomicLong();
    onLoop(() -> id.set(Thread.currentThread().threadId()));
    awaitTrue(
        "the event loop allocates nothing",
        () -> {
          long before = threads.getThreadAllocatedBytes(id.get());
          work.run();
          return threads.getThreadAllocatedBytes(id.get()) == before;
        });
  }

  public int interrupts() {
    return interrupts.get();
  }

  /** Whether the device has told that it must be reset. */
  public boolean isBroken() {
    return (read(STATUS) & 64) != 0;
  }

  @Override
  public void close() {
    transport.close();
    assertTrue(kicks.isEmpty(), "kicks are left");
    loop.close();
    memory.close();
    arena.close();
  }
}
