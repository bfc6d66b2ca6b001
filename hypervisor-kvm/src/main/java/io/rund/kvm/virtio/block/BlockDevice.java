package io.rund.kvm.virtio.block;

import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.Offload;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A disk (virtio 1.2, 5.2) with one queue. A request is taken and checked on the loop, worked on
 * and answered by a thread of the pool: {@link #give} is the only place that writes a status and
 * the used ring.
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

  /** Requests a worker takes before other disks of its VM get its thread. */
  private static final int TURN = 64;

  private static final ThreadLocal<IoVector> VECTOR =
      ThreadLocal.withInitial(() -> new IoVector(QUEUE_SIZE));

  private final GuestMemory memory;
  private final BlockBackend backend;
  private final Offload<BlockRequest> offload;
  private final MemorySegment config;

  // On the loop.
  private final IoVector loopVector = new IoVector(QUEUE_SIZE);
  private Virtqueue queue;
  private boolean writeThrough;

  private volatile boolean errorLogged;

  /** A request on its way. */
  private final class Request extends BlockRequest {
    @Override
    protected void perform() {
      status = BlockDevice.this.perform(this, VECTOR.get());
      give(this);
    }
  }

  /** The device owns {@code backend}. */
  public BlockDevice(GuestMemory memory, EventLoop loop, IoPool pool, BlockBackend backend) {
    this.memory = memory;
    this.backend = backend;
    this.offload =
        new Offload<>(loop, pool::execute, QUEUE_SIZE, IoPool.PER_DEVICE, TURN, Request::new);
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
    int readNow = READ_NOW;
    for (int budget = queue.size(); budget > 0; budget--) {
      DescriptorChain chain = queue.pop();
      if (chain == null) {
        if (queue.enableKicks()) {
          continue;
        }
        return false;
      }
      BlockRequest request = offload.take();
      request.parse(chain, backend.capacity(), backend.readOnly());
      // With a request under way the disk may be slow, and then not even a try may wait for it.
      if (offload.underWay() == 0
          && request.kind == BlockRequest.Kind.READ
          && request.length <= readNow
          // Each piece may make the host find a page for the guest, a huge one at that.
          && request.isCompact()
          && readNow(request)) {
        readNow -= (int) request.length;
        give(request);
        offload.giveBack(request);
      } else {
        offload.submit(request);
      }
    }
    return true;
  }

  private boolean readNow(BlockRequest request) {
    request.fill(loopVector, memory);
    request.status = BlockRequest.STATUS_OK;
    return backend.readNow(request.offset, loopVector) == 0;
  }

  // Pool threads.

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

  /** The one way back to the guest. */
  private void give(BlockRequest request) {
    queue.give(request.head, request.answer(memory));
  }

  @Override
  public void reset(Runnable done) {
    offload.stop(done);
  }

  @Override
  public void close() {
    backend.close();
  }
}
