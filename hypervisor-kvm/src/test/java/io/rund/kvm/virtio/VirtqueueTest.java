package io.rund.kvm.virtio;

import static io.rund.kvm.virtio.DriverQueue.readable;
import static io.rund.kvm.virtio.DriverQueue.writable;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class VirtqueueTest {
  private static final int SIZE = 16;

  private final GuestDriver guest = new GuestDriver();
  private final GuestMemory memory = guest.memory;
  private final DriverQueue driver = new DriverQueue(guest, 0, SIZE, true);
  private final List<String> faults = new ArrayList<>();
  private final AtomicInteger interrupts = new AtomicInteger();
  private Virtqueue queue = queue(true, true);

  private Virtqueue queue(boolean eventIndex, boolean indirect) {
    Virtqueue.Layout layout =
        new Virtqueue.Layout(SIZE, driver.descriptors, driver.available, driver.used);
    layout.check(memory, SIZE);
    return new Virtqueue(
        memory, layout, SIZE, eventIndex, indirect, interrupts::incrementAndGet, faults::add);
  }

  @AfterEach
  void tearDown() {
    guest.close();
  }

  /** The queue is stopped, the guest's fault was told once, and nothing more happens to it. */
  private void assertBroken(String reason) {
    assertNull(queue.pop());
    assertEquals(1, faults.size(), faults::toString);
    assertTrue(faults.getFirst().contains(reason), faults.getFirst());
    driver.offer(driver.chain(readable(0, 1)));
    assertNull(queue.pop());
    assertFalse(queue.hasNext());
    assertFalse(queue.enableKicks());
    queue.push(0, 1);
    queue.flush();
    assertFalse(driver.hasUsed());
    assertEquals(1, faults.size());
  }

  private long table(int entries) {
    return guest.allocate(16 * entries);
  }

  private void offerIndirect(long table, long bytes, int flags) {
    driver.descriptor(driver.descriptors, 0, table, bytes, DriverQueue.INDIRECT | flags, 1);
    driver.offer(0);
  }

  @Test
  void emptyQueueHasNothing() {
    assertNull(queue.pop());
    assertFalse(queue.hasNext());
    assertTrue(faults.isEmpty());
  }

  @Test
  void chainHasItsBuffersInOrder() {
    long address = guest.allocate(100);
    int head =
        driver.chain(readable(address, 10), readable(address + 10, 20), writable(address + 30, 70));
    driver.offer(head);
    DescriptorChain chain = queue.pop();
    assertEquals(head, chain.head());
    assertEquals(3, chain.count());
    assertEquals(2, chain.readable());
    assertEquals(30, chain.readableBytes());
    assertEquals(70, chain.writableBytes());
    assertEquals(address + 10, chain.address(1));
    assertEquals(70, chain.length(2));
    assertNull(queue.pop());
  }

  @Test
  void bytesAreCopiedAcrossBuffersAndNotBeyond() {
    byte[] text = "abcdefghij".getBytes(US_ASCII);
    long out = guest.allocate(16);
    driver.offer(
        driver.chain(
            driver.bytes(text),
            readable(out, 0),
            driver.bytes(text),
            writable(out, 3),
            writable(out + 8, 4)));
    DescriptorChain chain = queue.pop();
    byte[] copy = new byte[12];
    chain.read(4, MemorySegment.ofArray(copy), 2, 10);
    assertEquals("\0\0efghijabcd", new String(copy, US_ASCII));
    chain.write(1, MemorySegment.ofArray(text), 0, 5);
    assertArrayEquals(
        new byte[] {0, 'a', 'b', 0, 0, 0, 0, 0, 'c', 'd', 'e', 0}, driver.get(out, 12));
    MemorySegment target = MemorySegment.ofArray(new byte[64]);
    assertThrows(IndexOutOfBoundsException.class, () -> chain.read(0, target, 0, 21));
    assertThrows(IndexOutOfBoundsException.class, () -> chain.read(-1, target, 0, 2));
    assertThrows(IndexOutOfBoundsException.class, () -> chain.read(Long.MAX_VALUE, target, 0, 2));
    assertThrows(IndexOutOfBoundsException.class, () -> chain.write(0, target, 0, 8));
    assertThrows(IndexOutOfBoundsException.class, () -> chain.write(0, target, 0, -1));
  }

  @Test
  void descriptorsAreReadOnce() {
    int head = driver.chain(readable(0x1000, 8));
    driver.offer(head);
    DescriptorChain chain = queue.pop();
    driver.descriptor(driver.descriptors, head, memory.size(), 1 << 30, 0, 0);
    assertEquals(0x1000, chain.address(0));
    assertEquals(8, chain.length(0));
  }

  @Test
  void indirectTableIsFollowed() {
    long table = table(3);
    driver.descriptor(table, 0, 0x1000, 4, DriverQueue.NEXT, 2);
    driver.descriptor(table, 2, 0x2000, 5, DriverQueue.NEXT | DriverQueue.WRITE, 1);
    driver.descriptor(table, 1, 0x3000, 6, DriverQueue.WRITE, 0);
    offerIndirect(table, 48, DriverQueue.WRITE);
    DescriptorChain chain = queue.pop();
    assertEquals(3, chain.count());
    assertEquals(4, chain.readableBytes());
    assertEquals(11, chain.writableBytes());
    assertEquals(0x3000, chain.address(2));
  }

  @Test
  void indirectTableMayEndAChain() {
    long table = table(1);
    driver.descriptor(table, 0, 0x2000, 5, DriverQueue.WRITE, 0);
    driver.descriptor(driver.descriptors, 3, 0x1000, 4, DriverQueue.NEXT, 7);
    driver.descriptor(driver.descriptors, 7, table, 16, DriverQueue.INDIRECT, 0);
    driver.offer(3);
    DescriptorChain chain = queue.pop();
    assertEquals(2, chain.count());
    assertEquals(1, chain.readable());
  }

  @Test
  void queueGoesRound() {
    for (int i = 0; i < 5 * SIZE; i++) {
      driver.offer(driver.chain(readable(0x1000, i + 1), writable(0x2000, 1)));
      DescriptorChain chain = queue.pop();
      assertEquals(i + 1, chain.readableBytes());
      queue.push(chain.head(), i);
      queue.flush();
      assertEquals(new DriverQueue.Used(chain.head(), i), driver.take());
    }
    assertTrue(faults.isEmpty());
  }

  @Test
  void indexesWrapAt65536() {
    for (int i = 0; i < 70_000; i++) {
      driver.offer(i & (SIZE - 1));
      if (i % SIZE == SIZE - 1) {
        for (int k = 0; k < SIZE; k++) {
          queue.push(queue.pop().head(), 0);
        }
        queue.flush();
      }
    }
    assertTrue(faults.isEmpty());
    assertEquals((short) 70_000 / SIZE * SIZE, memory.getShort(driver.used + 2));
  }

  // Each way to be wrong.

  @ParameterizedTest
  @ValueSource(ints = {SIZE + 1, 0x7fff, 0xffff})
  void availableIndexThatJumps(int index) {
    driver.availableIndex(index);
    assertBroken("available index");
  }

  @Test
  void availableIndexThatGoesBack() {
    driver.offer(driver.chain(readable(0x1000, 1)));
    driver.offer(driver.chain(readable(0x1000, 1)));
    assertNotNull(queue.pop());
    assertNotNull(queue.pop());
    driver.availableIndex(1);
    assertBroken("available index");
  }

  @Test
  void moreInFlightThanTheQueueHolds() {
    int head = driver.chain(readable(0x1000, 1));
    for (int i = 0; i < SIZE; i++) {
      driver.offer(head);
      assertNotNull(queue.pop());
    }
    driver.offer(head);
    assertBroken("available index");
  }

  @Test
  void headOutOfRange() {
    driver.offer(SIZE);
    assertBroken("descriptor 16 in a table of 16");
  }

  @Test
  void nextOutOfRange() {
    driver.descriptor(driver.descriptors, 0, 0x1000, 1, DriverQueue.NEXT, 0xffff);
    driver.offer(0);
    assertBroken("descriptor 65535");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 15})
  void chainThatLoops(int back) {
    for (int i = 0; i < SIZE; i++) {
      int next = i == SIZE - 1 ? back : i + 1;
      driver.descriptor(driver.descriptors, i, 0x1000, 1, DriverQueue.NEXT, next);
    }
    driver.offer(0);
    assertBroken("loops");
  }

  @Test
  void loopInAnIndirectTable() {
    long table = table(1);
    driver.descriptor(table, 0, 0x1000, 1, DriverQueue.NEXT, 0);
    offerIndirect(table, 16, 0);
    assertBroken("loops");
  }

  @Test
  void indirectChainLongerThanTheQueue() {
    long table = table(SIZE + 1);
    for (int i = 0; i <= SIZE; i++) {
      driver.descriptor(table, i, 0x1000, 1, i < SIZE ? DriverQueue.NEXT : 0, i + 1);
    }
    offerIndirect(table, 16L * (SIZE + 1), 0);
    assertBroken("longer than");
  }

  @ParameterizedTest
  @CsvSource({
    "0x1000000, 1",
    "0xffffff, 2",
    "0xfff000, 0xffffffff",
    "-1, 1",
    "-4096, 4096",
    "-4096, 8192",
    "0x7fffffffffffffff, 1",
    "0xd0000000, 4"
  })
  void bufferThatIsNotRam(String address, String length) {
    driver.offer(driver.chain(readable(Long.decode(address), Long.decode(length))));
    assertBroken("not guest RAM");
  }

  @Test
  void readableAfterWritable() {
    driver.offer(driver.chain(readable(0x1000, 1), writable(0x1000, 1), readable(0x1000, 1)));
    assertBroken("readable descriptor after a writable one");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 15, 17, 0xffff_ffffL})
  void indirectTableOfOddSize(long bytes) {
    offerIndirect(0x1000, bytes, 0);
    assertBroken("indirect descriptor table of " + bytes);
  }

  @Test
  void indirectTableThatIsNotRam() {
    offerIndirect(memory.size() - 16, 32, 0);
    assertBroken("not guest RAM");
  }

  @Test
  void indirectWithNext() {
    long table = table(1);
    driver.descriptor(table, 0, 0x1000, 1, 0, 0);
    offerIndirect(table, 16, DriverQueue.NEXT);
    assertBroken("indirect descriptor where none may be");
  }

  @Test
  void indirectInIndirect() {
    long table = table(1);
    driver.descriptor(table, 0, table, 16, DriverQueue.INDIRECT, 0);
    offerIndirect(table, 16, 0);
    assertBroken("indirect descriptor where none may be");
  }

  @Test
  void indirectThatWasNotNegotiated() {
    queue = queue(true, false);
    long table = table(1);
    driver.descriptor(table, 0, 0x1000, 1, 0, 0);
    offerIndirect(table, 16, 0);
    assertBroken("indirect descriptor where none may be");
  }

  @Test
  void indirectTableNextOutOfRange() {
    long table = table(2);
    driver.descriptor(table, 0, 0x1000, 1, DriverQueue.NEXT, 1);
    driver.descriptor(table, 1, 0x1000, 1, DriverQueue.NEXT, 2);
    offerIndirect(table, 32, 0);
    assertBroken("descriptor 2 in a table of 2");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, 0, 0",
    "3, 0, 0, 0",
    "32, 0, 0, 0",
    "-16, 0, 0, 0",
    "16, 8, 0, 0",
    "16, 0, 1, 0",
    "16, 0, 0, 2",
    "16, 0xffff10, 0, 0",
    "16, 0, 0xfffffe, 0",
    "16, 0, 0, 0xfffffc",
    "16, -16, 0, 0",
    "16, 0, 0x7ffffffffffffffe, 0"
  })
  void layoutThatMayNotBe(int size, String descriptors, String available, String used) {
    Virtqueue.Layout layout =
        new Virtqueue.Layout(
            size, Long.decode(descriptors), Long.decode(available), Long.decode(used));
    assertThrows(GuestFault.class, () -> layout.check(memory, SIZE));
  }

  // Events.

  @Test
  void interruptComesWhenTheEventIndexIsReached() {
    driver.interruptAfter(3);
    for (int i = 1; i <= 5; i++) {
      driver.offer(driver.chain(readable(0x1000, 1)));
      queue.push(queue.pop().head(), 0);
      queue.flush();
      assertEquals(i < 3 ? 0 : 1, interrupts.get(), "after " + i);
    }
  }

  @Test
  void batchThatPassesTheEventIndexInterruptsOnce() {
    driver.interruptAfter(3);
    for (int i = 0; i < 5; i++) {
      driver.offer(driver.chain(readable(0x1000, 1)));
      queue.push(queue.pop().head(), 0);
    }
    assertFalse(driver.hasUsed());
    queue.flush();
    queue.flush();
    assertEquals(1, interrupts.get());
  }

  @Test
  void withoutEventIndexTheFlagDecides() {
    queue = queue(false, true);
    driver.interruptsOff(true);
    driver.offer(driver.chain(readable(0x1000, 1)));
    queue.push(queue.pop().head(), 0);
    queue.flush();
    assertEquals(0, interrupts.get());
    driver.interruptsOff(false);
    driver.offer(driver.chain(readable(0x1000, 1)));
    queue.push(queue.pop().head(), 0);
    queue.flush();
    assertEquals(1, interrupts.get());
  }

  @Test
  void kicksAreAskedForByEventIndexOrFlag() {
    driver.offer(driver.chain(readable(0x1000, 1)));
    assertTrue(queue.enableKicks(), "one is there already");
    assertNotNull(queue.pop());
    assertFalse(queue.enableKicks());
    assertEquals(1, memory.getShort(driver.used + 4 + 8 * SIZE));
    queue = queue(false, true);
    queue.disableKicks();
    assertEquals(1, memory.getShort(driver.used));
    assertTrue(queue.enableKicks());
    assertEquals(0, memory.getShort(driver.used));
  }

  @Test
  void randomGarbageNeverEscapes() {
    Random random = new Random(42);
    DescriptorChain chain;
    MemorySegment scratch = MemorySegment.ofArray(new byte[1 << 16]);
    for (int round = 0; round < 20_000; round++) {
      faults.clear();
      queue = queue(random.nextBoolean(), random.nextBoolean());
      memory.putShort(driver.used + 2, (short) 0);
      for (int i = 0; i < SIZE; i++) {
        int flags = random.nextInt(10) == 0 ? random.nextInt() : random.nextInt(4);
        long address =
            random.nextInt(20) == 0 ? random.nextLong() : random.nextInt((int) memory.size());
        int length = random.nextInt(20) == 0 ? random.nextInt() : random.nextInt(1 << 12);
        int next = random.nextInt(20) == 0 ? random.nextInt() : random.nextInt(SIZE);
        driver.descriptor(driver.descriptors, i, address, length, flags, next);
        memory.putShort(driver.available + 4 + 2L * i, (short) random.nextInt(SIZE + 1));
      }
      driver.availableIndex(random.nextInt(SIZE + 2));
      int popped = 0;
      while ((chain = queue.pop()) != null) {
        popped++;
        assertTrue(chain.count() <= SIZE);
        for (int i = 0; i < chain.count(); i++) {
          assertEquals(chain.length(i), memory.slice(chain.address(i), chain.length(i)).byteSize());
        }
        chain.read(0, scratch, 0, Math.min(scratch.byteSize(), chain.readableBytes()));
        queue.push(chain.head(), 1);
      }
      queue.flush();
      assertTrue(popped <= SIZE);
      assertTrue(faults.size() <= 1);
    }
  }
}
