package io.rund.kvm.virtio.block;

import static io.rund.kvm.virtio.DriverQueue.readable;
import static io.rund.kvm.virtio.DriverQueue.writable;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.DriverQueue.Buffer;
import io.rund.kvm.virtio.GuestDriver;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlockDeviceTest {
  private static final int IN = 0;
  private static final int OUT = 1;
  private static final int FLUSH = 4;
  private static final int GET_ID = 8;
  private static final int DISCARD = 11;
  private static final int WRITE_ZEROES = 13;

  private static final int OK = 0;
  private static final int IO_ERROR = 1;
  private static final int UNSUPPORTED = 2;

  private static final int SECTORS = 4096;

  @TempDir Path folder;

  private final GuestDriver guest = new GuestDriver();
  private final IoPool pool = new IoPool("driver");
  private Path file;

  @AfterEach
  void tearDown() {
    guest.close();
    pool.close();
  }

  /** A disk with random bytes. */
  private byte[] disk(boolean readOnly) throws IOException {
    byte[] content = new byte[SECTORS * 512];
    new Random(1).nextBytes(content);
    file = Files.write(folder.resolve("disk"), content);
    plug(FileBackend.open(new DiskConfig(file, readOnly)));
    return content;
  }

  private void plug(BlockBackend backend) {
    guest.transport.plug(new BlockDevice(guest.memory, guest.loop, pool, backend));
    guest.start();
  }

  private DriverQueue queue() {
    return guest.queue(0);
  }

  private Buffer header(int type, long sector) {
    byte[] header = new byte[16];
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putInt(type).putInt(0).putLong(sector);
    return queue().bytes(header);
  }

  /** Submits a request of header, data and status; waits for it and returns the status. */
  private int request(int type, long sector, Buffer... data) {
    return request(header(type, sector), data).status;
  }

  private record Answer(int status, int written) {}

  private Answer request(Buffer header, Buffer... data) {
    long status = guest.allocate(1);
    guest.memory.putByte(status, (byte) 0x55);
    List<Buffer> chain = new ArrayList<>(List.of(header));
    chain.addAll(List.of(data));
    chain.add(writable(status, 1));
    queue().submit(chain.toArray(Buffer[]::new));
    int written = queue().take().written();
    return new Answer(guest.memory.getByte(status), written);
  }

  private Buffer range(long sector, int sectors, int flags) {
    byte[] range = new byte[16];
    ByteBuffer.wrap(range)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(sector)
        .putInt(sectors)
        .putInt(flags);
    return queue().bytes(range);
  }

  @Test
  void configurationTellsSizeAndBlockSize() throws IOException {
    disk(false);
    assertEquals(2, guest.read(0x008));
    assertEquals(SECTORS, guest.transport.read(0x100, 8));
    assertEquals(126, guest.transport.read(0x10c, 4));
    assertEquals(512, guest.transport.read(0x114, 4));
  }

  @Test
  void readsIntoScatteredBuffers() throws IOException {
    byte[] content = disk(false);
    long first = guest.allocate(300);
    long second = guest.allocate(1024 - 300);
    Answer answer = request(header(IN, 7), writable(first, 300), writable(second, 724));
    assertEquals(new Answer(OK, 1025), answer);
    assertArrayEquals(Arrays.copyOfRange(content, 3584, 3884), queue().get(first, 300));
    assertArrayEquals(Arrays.copyOfRange(content, 3884, 4608), queue().get(second, 724));
  }

  @Test
  void writesAndFlushes() throws IOException {
    byte[] content = disk(false);
    byte[] sector = new byte[512];
    new Random(2).nextBytes(sector);
    assertEquals(new Answer(OK, 1), request(header(OUT, SECTORS - 1), queue().bytes(sector)));
    assertEquals(OK, request(FLUSH, 0));
    System.arraycopy(sector, 0, content, content.length - 512, 512);
    assertArrayEquals(content, Files.readAllBytes(file));
  }

  @Test
  void framingIsTheDriversChoice() throws IOException {
    byte[] content = disk(false);
    // Header in three pieces, the last of which has data too; status behind data in one buffer.
    byte[] whole = new byte[16 + 512];
    ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).putInt(OUT).putInt(0).putLong(3);
    Arrays.fill(whole, 16, whole.length, (byte) 9);
    Buffer b = queue().bytes(whole);
    long status = guest.allocate(1);
    queue()
        .submit(
            readable(b.address(), 5),
            readable(b.address() + 5, 6),
            readable(b.address() + 11, 517),
            writable(status, 1));
    assertEquals(1, queue().take().written());
    Arrays.fill(content, 3 * 512, 4 * 512, (byte) 9);
    assertArrayEquals(content, Files.readAllBytes(file));
    long out = guest.allocate(513);
    guest.memory.putByte(out + 512, (byte) 1);
    queue().submit(header(IN, 3), writable(out, 513), writable(status, 0));
    assertEquals(513, queue().take().written());
    assertEquals(9, guest.memory.getByte(out + 511));
    assertEquals(OK, guest.memory.getByte(out + 512));
  }

  @Test
  void sectorsThatAreNotThereAreErrors() throws IOException {
    byte[] content = disk(false);
    long data = guest.allocate(1024);
    for (long sector : new long[] {SECTORS, SECTORS - 1, -1, Long.MAX_VALUE, 1L << 55}) {
      assertEquals(IO_ERROR, request(IN, sector, writable(data, 1024)), "read " + sector);
      assertEquals(IO_ERROR, request(OUT, sector, readable(data, 1024)), "write " + sector);
    }
    assertEquals(IO_ERROR, request(IN, 0, writable(data, 511)));
    assertEquals(IO_ERROR, request(OUT, 0, readable(data, 513)));
    assertArrayEquals(content, Files.readAllBytes(file));
    assertFalse(guest.isBroken());
  }

  @Test
  void readOnlyDiskRefusesToChange() throws IOException {
    byte[] content = disk(true);
    assertEquals(1 << 5, guest.offeredFeatures() & (1 << 5 | 1 << 13 | 1 << 14));
    assertEquals(IO_ERROR, request(OUT, 0, queue().bytes(new byte[512])));
    assertEquals(UNSUPPORTED, request(DISCARD, 0, range(0, 8, 0)));
    assertEquals(UNSUPPORTED, request(WRITE_ZEROES, 0, range(0, 8, 0)));
    assertEquals(OK, request(IN, 0, writable(guest.allocate(512), 512)));
    assertArrayEquals(content, Files.readAllBytes(file));
  }

  @Test
  void discardAndWriteZeroesChangeJustTheirRange() throws IOException {
    byte[] content = disk(false);
    assertEquals(OK, request(WRITE_ZEROES, 0, range(8, 16, 1)));
    Arrays.fill(content, 8 * 512, 24 * 512, (byte) 0);
    assertArrayEquals(content, Files.readAllBytes(file));
    assertEquals(OK, request(DISCARD, 0, range(64, 8, 0)));
    Arrays.fill(content, 64 * 512, 72 * 512, (byte) 0);
    assertArrayEquals(content, Files.readAllBytes(file));
    for (int type : new int[] {DISCARD, WRITE_ZEROES}) {
      assertEquals(IO_ERROR, request(type, 0, range(SECTORS, 1, 0)));
      assertEquals(IO_ERROR, request(type, 0, range(SECTORS - 1, 2, 0)));
      assertEquals(IO_ERROR, request(type, 0, range(-1, 2, 0)));
      assertEquals(IO_ERROR, request(type, 0, range(0, 0, 0)));
      assertEquals(IO_ERROR, request(type, 0, range(0, -1, 0)));
      assertEquals(IO_ERROR, request(type, 0));
      assertEquals(IO_ERROR, request(type, 0, range(0, 1, 0), range(0, 1, 0)));
      assertEquals(UNSUPPORTED, request(type, 0, range(0, 1, 2)));
    }
    assertEquals(UNSUPPORTED, request(DISCARD, 0, range(0, 1, 1)));
    assertArrayEquals(content, Files.readAllBytes(file));
  }

  @Test
  void identifiesItself() throws IOException {
    disk(false);
    long id = guest.allocate(32);
    assertEquals(new Answer(OK, 21), request(header(GET_ID, 0), writable(id, 32)));
    assertEquals('r', guest.memory.getByte(id));
    assertEquals(new Answer(OK, 3), request(header(GET_ID, 0), writable(id, 2)));
  }

  @Test
  void unknownRequestsAreUnsupported() throws IOException {
    disk(false);
    for (int type : new int[] {2, 3, 14, 0x8000_0001, -1}) {
      assertEquals(UNSUPPORTED, request(type, 0, writable(guest.allocate(512), 512)));
    }
  }

  @Test
  void requestWithoutHeaderOrStatusBreaksTheDevice() throws IOException {
    disk(false);
    queue().submit(readable(0x1000, 15), writable(0x2000, 513));
    guest.awaitTrue("the device is broken", guest::isBroken);
    guest.start();
    queue().submit(header(IN, 0), writable(0x2000, 0));
    guest.awaitTrue("the device is broken", guest::isBroken);
    guest.start();
    assertEquals(OK, request(FLUSH, 0));
  }

  @Test
  void manyRequestsAtOnceAreAllAnswered() throws IOException {
    byte[] content = disk(false);
    Random random = new Random(3);
    long area = guest.allocate(64 * 4096);
    for (int round = 0; round < 20; round++) {
      int[] sectors = new int[32];
      Buffer[] statuses = new Buffer[32];
      Set<Integer> heads = new HashSet<>();
      for (int i = 0; i < 32; i++) {
        sectors[i] = random.nextInt(SECTORS - 8);
        statuses[i] = writable(guest.allocate(1), 1);
        int head =
            queue().chain(header(IN, sectors[i]), writable(area + i * 4096L, 4096), statuses[i]);
        queue().offer(head);
        heads.add(head);
      }
      queue().kickIfWanted();
      for (int i = 0; i < 32; i++) {
        assertTrue(heads.remove(queue().take().head()));
      }
      for (int i = 0; i < 32; i++) {
        assertEquals(OK, guest.memory.getByte(statuses[i].address()));
        assertArrayEquals(
            Arrays.copyOfRange(content, sectors[i] * 512, sectors[i] * 512 + 4096),
            queue().get(area + i * 4096L, 4096));
      }
    }
  }

  @Test
  void readsOfWhatTheHostHasInMemoryAllocateNothing() throws IOException {
    disk(false);
    Buffer header = header(IN, 8);
    int head =
        queue().chain(header, writable(guest.allocate(4096), 4096), writable(guest.allocate(1), 1));
    guest.awaitNoAllocation(
        () -> {
          for (int i = 0; i < 100; i++) {
            queue().offer(head);
            queue().kickIfWanted();
            queue().take();
          }
        });
  }

  /** A disk whose reads wait until they are let go, and which may fail. */
  private static final class SlowBackend implements BlockBackend {
    final Semaphore permits = new Semaphore(0);
    final AtomicInteger reading = new AtomicInteger();
    volatile int errno;
    volatile boolean closed;

    @Override
    public long capacity() {
      return 1 << 20;
    }

    @Override
    public int blockSize() {
      return 512;
    }

    @Override
    public boolean readOnly() {
      return false;
    }

    @Override
    public String name() {
      return "slow";
    }

    @Override
    public int readNow(long offset, IoVector data) {
      return 11;
    }

    @Override
    public int read(long offset, IoVector data) {
      reading.incrementAndGet();
      permits.acquireUninterruptibly();
      reading.decrementAndGet();
      if (errno < 0) {
        throw new IllegalStateException("for the test");
      }
      return errno;
    }

    @Override
    public int write(long offset, IoVector data) {
      return 28;
    }

    @Override
    public int flush() {
      return 0;
    }

    @Override
    public int discard(long offset, long length) {
      return 95;
    }

    @Override
    public int zero(long offset, long length, boolean mayUnmap) {
      return 95;
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  @Test
  void failuresOfTheDiskReachTheGuest() {
    SlowBackend slow = new SlowBackend();
    plug(slow);
    slow.permits.release(100);
    long data = guest.allocate(512);
    assertEquals(OK, request(IN, 0, writable(data, 512)));
    slow.errno = 5;
    assertEquals(IO_ERROR, request(IN, 0, writable(data, 512)));
    slow.errno = -1;
    assertEquals(IO_ERROR, request(IN, 0, writable(data, 512)));
    assertEquals(IO_ERROR, request(OUT, 0, readable(data, 512)));
    assertEquals(UNSUPPORTED, request(DISCARD, 0, range(0, 8, 0)));
    assertEquals(UNSUPPORTED, request(WRITE_ZEROES, 0, range(0, 8, 1)));
  }

  /** A sandbox's end waits for what is begun. */
  @Test
  void aRequestThatIsFarLargerThanAnyOfLinuxIsRefused() throws IOException {
    file = folder.resolve("large");
    try (RandomAccessFile large = new RandomAccessFile(file.toFile(), "rw")) {
      large.setLength(64 << 20);
    }
    plug(FileBackend.open(new DiskConfig(file, false)));
    Buffer[] most = new Buffer[16];
    Arrays.fill(most, writable(1 << 20, 1 << 20));
    assertEquals(OK, request(IN, 0, most));
    Buffer[] more = Arrays.copyOf(most, 17);
    more[16] = writable(1 << 20, 512);
    assertEquals(IO_ERROR, request(IN, 0, more));
  }

  @Test
  void slowDiskHoldsUpItsOwnRequestsOnly() throws IOException {
    SlowBackend slow = new SlowBackend();
    plug(slow);
    for (int i = 0; i < 32; i++) {
      queue().submit(header(IN, 0), writable(0x1000, 512), writable(0x2000, 1));
    }
    guest.awaitTrue("its threads are busy", () -> slow.reading.get() == IoPool.PER_DEVICE);
    try (GuestDriver other = new GuestDriver()) {
      file = Files.write(folder.resolve("other"), new byte[4096]);
      other.transport.plug(
          new BlockDevice(
              other.memory, other.loop, pool, FileBackend.open(new DiskConfig(file, false))));
      other.start();
      byte[] flush = new byte[16];
      flush[0] = FLUSH;
      long status = other.allocate(1);
      other.queue(0).submit(other.queue(0).bytes(flush), writable(status, 1));
      assertEquals(1, other.queue(0).take().written());
    }
    assertFalse(queue().hasUsed());
    assertEquals(IoPool.PER_DEVICE, slow.reading.get());
    slow.permits.release(32);
    for (int i = 0; i < 32; i++) {
      queue().take();
    }
  }

  @Test
  void disksThatHangTakeAllThreadsOfTheirSandboxAndNoneOfAnother() throws IOException {
    List<GuestDriver> slots = List.of(new GuestDriver(), new GuestDriver(), new GuestDriver());
    List<SlowBackend> hanging = new ArrayList<>();
    for (GuestDriver slot : slots) {
      SlowBackend slow = new SlowBackend();
      hanging.add(slow);
      slot.transport.plug(new BlockDevice(slot.memory, slot.loop, pool, slow));
      slot.start();
      for (int i = 0; i < IoPool.PER_DEVICE; i++) {
        slot.queue(0)
            .submit(slot.queue(0).bytes(new byte[16]), writable(0x1000, 512), writable(0x2000, 1));
      }
    }
    guest.awaitTrue(
        "no thread is left",
        () -> hanging.stream().mapToInt(slow -> slow.reading.get()).sum() == IoPool.THREADS);
    try (IoPool ofAnother = new IoPool("other")) {
      file = Files.write(folder.resolve("disk"), new byte[SECTORS * 512]);
      BlockBackend disk = FileBackend.open(new DiskConfig(file, false));
      guest.transport.plug(new BlockDevice(guest.memory, guest.loop, ofAnother, disk));
      guest.start();
      assertEquals(OK, request(FLUSH, 0));
    }
    hanging.forEach(slow -> slow.permits.release(IoPool.PER_DEVICE));
    slots.forEach(GuestDriver::close);
  }

  @Test
  void resetAndUnplugWaitForWhatIsUnderWay() throws Exception {
    SlowBackend slow = new SlowBackend();
    plug(slow);
    queue().submit(header(IN, 0), writable(0x1000, 512), writable(0x2000, 1));
    guest.awaitTrue("the read has begun", () -> slow.reading.get() == 1);
    CompletableFuture<Void> unplugged = CompletableFuture.runAsync(guest.transport::unplug);
    assertThrows(TimeoutException.class, () -> unplugged.get(50, TimeUnit.MILLISECONDS));
    assertFalse(slow.closed);
    slow.permits.release();
    unplugged.get(10, TimeUnit.SECONDS);
    assertTrue(slow.closed);
    assertFalse(queue().hasUsed());
  }

  @Test
  void fileThatShrankIsAnError() throws IOException {
    disk(false);
    Files.write(file, new byte[512]);
    assertEquals(IO_ERROR, request(IN, 8, writable(guest.allocate(512), 512)));
  }

  @Test
  void whatIsNoDiskIsRefused() throws IOException {
    RundException missing =
        assertThrows(
            RundException.class,
            () -> FileBackend.open(new DiskConfig(folder.resolve("none"), true)));
    assertEquals(ErrorCode.NOT_FOUND, missing.code());
    Path empty = Files.createFile(folder.resolve("empty"));
    for (Path path : List.of(empty, folder, Path.of("/dev/null"))) {
      RundException e =
          assertThrows(
              RundException.class,
              () -> FileBackend.open(new DiskConfig(path, true)),
              path::toString);
      assertEquals(ErrorCode.INVALID_ARGUMENT, e.code(), e.getMessage());
    }
  }

  @Test
  void randomRequestsHarmOnlyTheirOwnDisk() throws IOException {
    disk(false);
    Random random = new Random(4);
    long area = guest.allocate(1 << 16);
    int[] types = {IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES, 99};
    for (int i = 0; i < 1000; i++) {
      for (int at = 0; at < 64; at += 8) {
        guest.memory.putLong(area + at, random.nextInt(SECTORS + 10));
      }
      guest.memory.putInt(area, types[random.nextInt(types.length)]);
      Buffer[] buffers = new Buffer[2 + random.nextInt(4)];
      int readable = random.nextInt(buffers.length);
      for (int b = 0; b < buffers.length; b++) {
        int length = random.nextInt(3) == 0 ? random.nextInt(2000) : 16;
        long address = b == 0 ? area : area + random.nextInt(1 << 15);
        buffers[b] = new Buffer(address, length, b > readable);
      }
      queue().submit(buffers);
      guest.awaitTrue("an answer", () -> queue().hasUsed() || guest.isBroken());
      if (guest.isBroken()) {
        guest.start();
      } else {
        queue().take();
      }
    }
    assertEquals(SECTORS * 512, Files.size(file));
  }
}
