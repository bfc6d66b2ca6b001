package io.rund.kvm.virtio.block;

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
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A disk (virtio 1.2, 5.2) with one queue. A request is taken and checked on the loop, worked on by
 * a thread of the pool, and answered on the loop: {@link #give} is the only place that writes a
 * status and the used ring. Between the threads stand a ring and a stack without locks.
 */
public final class BlockDevice implements VirtioDevice {
  private static final Logger log = LoggerFactory.getLogger(BlockDevice.class);

  private static final int TYPE = 2;
  private static final int QUEUE_SIZE = 128;

  /** Buffers of a request beside header and status. */
  private static final int SEGMENTS = QUEUE_SIZE - 2;

  private static final long F_SEG_MAX = 1L << 2;
  private static final long F_RO = 1L << 5;
  private static final long F_BLK_SIZE = 1L << 6;
  private static final long F_FLUSH = 1L << 9;
  private static final long F_DISCARD = 1L << 13;
  private static final long F_WRITE_ZEROES = 1L << 14;

  private static final int CONFIG_SIZE = 60;
  private static final byte[] ID = "rund".getBytes(StandardCharsets.US_ASCII);

  /**
   * Bytes read on the loop itself in one turn, if the host has them in memory: cheaper than to wake
   * a thread, and bounded for the sake of the loop's other sandboxes.
   */
  private static final int READ_NOW = 256 * 1024;

  /** Requests a worker takes before other disks get its thread. */
  private static final int TURN = 64;

  private static final ThreadLocal<IoVector> VECTOR =
      ThreadLocal.withInitial(() -> new IoVector(QUEUE_SIZE));

  private final GuestMemory memory;
  private final EventLoop loop;
  private final IoPool pool;
  private final BlockBackend backend;
  private final MemorySegment config;
  private final Runnable worker = this::work;
  private final Runnable answer = this::answer;

  // On the loop.
  private final BlockRequest[] idle = new BlockRequest[QUEUE_SIZE];
  private int idleCount;
  private int inFlight;
  private final IoVector loopVector = new IoVector(QUEUE_SIZE);
  private final List<Runnable> awaitingIdle = new ArrayList<>();
  private Virtqueue queue;
  private boolean writeThrough;

  // From the loop to the workers: a ring that cannot overflow, for the queue bounds what is under
  // way.
  private final BlockRequest[] ring = new BlockRequest[QUEUE_SIZE];
  private final AtomicInteger submitted = new AtomicInteger();
  private final AtomicInteger claimed = new AtomicInteger();
  private final AtomicInteger workers = new AtomicInteger();

  /** From the workers to the loop: a stack that is always taken whole. */
  private final AtomicReference<BlockRequest> finished = new AtomicReference<>();

  private volatile boolean errorLogged;

  /** The device owns {@code backend}. */
  public BlockDevice(GuestMemory memory, EventLoop loop, IoPool pool, BlockBackend backend) {
    this.memory = memory;
    this.loop = loop;
    this.pool = pool;
    this.backend = backend;
    this.config = configSpace(backend);
  }

  /** struct virtio_blk_config (5.2.4). */
  private static MemorySegment configSpace(BlockBackend backend) {
    ValueLayout.OfInt u32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    MemorySegment config = MemorySegment.ofArray(new byte[CONFIG_SIZE]);
    config.set(
        ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
        0,
        backend.capacity() >>> BlockRequest.SECTOR_SHIFT);
    config.set(u32, 12, SEGMENTS);
    config.set(u32, 20, backend.blockSize());
    int alignment = backend.blockSize() >>> BlockRequest.SECTOR_SHIFT;
    config.set(u32, 36, BlockRequest.MAX_RANGE_SECTORS);
    config.set(u32, 40, 1);
    config.set(u32, 44, alignment);
    config.set(u32, 48, BlockRequest.MAX_RANGE_SECTORS);
    config.set(u32, 52, 1);
    config.set(ValueLayout.JAVA_BYTE, 56, (byte) 1);
    return config.asReadOnly();
  }

  @Override
  public int type() {
    return TYPE;
  }

  @Override
  public long features() {
    return F_SEG_MAX
        | F_BLK_SIZE
        | F_FLUSH
        | (backend.readOnly() ? F_RO : F_DISCARD | F_WRITE_ZEROES);
  }

  @Override
  public int queues() {
    return 1;
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
    queue = queues.getFirst();
    writeThrough = (features & F_FLUSH) == 0;
  }

  @Override
  public boolean kicked(int index) {
    boolean more = take();
    queue.flush();
    return more;
  }

  /** Takes requests; true if there may be more after a full turn. */
  private boolean take() {
    int readNow = READ_NOW;
    for (int budget = queue.size(); budget > 0; budget--) {
      DescriptorChain chain = queue.pop();
      if (chain == null) {
        if (queue.enableKicks()) {
          continue;
        }
        return false;
      }
      BlockRequest request = idleCount > 0 ? idle[--idleCount] : new BlockRequest();
      request.parse(chain, backend.capacity(), backend.readOnly());
      // With a request under way the disk may be slow, and then not even a try may wait for it.
      if (inFlight == 0
          && request.kind == BlockRequest.Kind.READ
          && request.length <= readNow
          && readNow(request)) {
        readNow -= (int) request.length;
        give(request);
      } else {
        inFlight++;
        submit(request);
      }
    }
    return true;
  }

  private boolean readNow(BlockRequest request) {
    request.fill(loopVector, memory);
    request.status = BlockRequest.STATUS_OK;
    return backend.readNow(request.offset, loopVector) == 0;
  }

  private void submit(BlockRequest request) {
    int slot = submitted.get();
    ring[slot & (QUEUE_SIZE - 1)] = request;
    submitted.set(slot + 1);
    if (addWorker()) {
      pool.execute(worker);
    }
  }

  private boolean addWorker() {
    int count = workers.get();
    while (count < IoPool.PER_DEVICE) {
      if (workers.compareAndSet(count, count + 1)) {
        return true;
      }
      count = workers.get();
    }
    return false;
  }

  // Pool threads.

  private void work() {
    IoVector vector = VECTOR.get();
    for (int turn = TURN; turn > 0; ) {
      BlockRequest request = claim();
      if (request != null) {
        request.status = perform(request, vector);
        finish(request);
        turn--;
        continue;
      }
      workers.decrementAndGet();
      // The loop may have submitted one and counted on us in between.
      if (submitted.get() == claimed.get() || !addWorker()) {
        return;
      }
    }
    pool.execute(worker);
  }

  private BlockRequest claim() {
    while (true) {
      int slot = claimed.get();
      if (slot == submitted.get()) {
        return null;
      }
      BlockRequest request = ring[slot & (QUEUE_SIZE - 1)];
      if (claimed.compareAndSet(slot, slot + 1)) {
        return request;
      }
    }
  }

  private byte perform(BlockRequest request, IoVector vector) {
    int errno;
    try {
      errno = transfer(request, vector);
    } catch (RuntimeException e) {
      log.error("disk {}: {} failed", backend.name(), request.kind, e);
      return BlockRequest.STATUS_IO_ERROR;
    }
    if (errno == 0) {
      return BlockRequest.STATUS_OK;
    }
    if (errno == Linux.EOPNOTSUPP) {
      return BlockRequest.STATUS_UNSUPPORTED;
    }
    if (request.kind != BlockRequest.Kind.OUT_OF_RANGE && !errorLogged) {
      errorLogged = true;
      log.warn(
          "disk {}: {} of {} bytes at {} failed with errno {}; later failures are not logged",
          backend.name(),
          request.kind,
          request.length,
          request.offset,
          errno);
    }
    return BlockRequest.STATUS_IO_ERROR;
  }

  private int transfer(BlockRequest request, IoVector vector) {
    return switch (request.kind) {
      case READ -> {
        request.fill(vector, memory);
        yield backend.read(request.offset, vector);
      }
      case WRITE -> {
        request.fill(vector, memory);
        int errno = backend.write(request.offset, vector);
        yield errno == 0 && writeThrough ? backend.flush() : errno;
      }
      case FLUSH -> backend.flush();
      case GET_ID -> {
        request.identify(memory, ID);
        yield 0;
      }
      case DISCARD -> backend.discard(request.offset, request.length);
      case WRITE_ZEROES -> backend.zero(request.offset, request.length, request.unmap);
      case OUT_OF_RANGE -> Linux.EIO;
      case UNSUPPORTED -> Linux.EOPNOTSUPP;
    };
  }

  private void finish(BlockRequest request) {
    BlockRequest top;
    do {
      top = finished.get();
      request.next = top;
    } while (!finished.compareAndSet(top, request));
    if (top == null) {
      loop.execute(answer);
    }
  }

  // The loop again.

  private void answer() {
    BlockRequest request = finished.getAndSet(null);
    while (request != null) {
      BlockRequest following = request.next;
      request.next = null;
      give(request);
      inFlight--;
      request = following;
    }
    queue.flush();
    if (inFlight == 0 && !awaitingIdle.isEmpty()) {
      List<Runnable> waiting = List.copyOf(awaitingIdle);
      awaitingIdle.clear();
      waiting.forEach(Runnable::run);
    }
  }

  /** The one way back to the guest. */
  private void give(BlockRequest request) {
    queue.push(request.head, request.answer(memory));
    idle[idleCount++] = request;
  }

  @Override
  public void reset(Runnable done) {
    if (inFlight == 0) {
      done.run();
    } else {
      awaitingIdle.add(done);
    }
  }

  @Override
  public void close() {
    backend.close();
  }
}
