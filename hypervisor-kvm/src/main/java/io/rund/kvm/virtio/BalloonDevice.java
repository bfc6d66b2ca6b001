package io.rund.kvm.virtio;

import io.rund.kvm.memory.GuestMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;

/**
 * A memory balloon (virtio 1.2, 5.5) that stays empty: it is there for free page reporting
 * (5.5.6.7), in which the guest's kernel names blocks of memory that nobody in it uses, and the
 * host takes back what it had for them.
 *
 * <p>VIRTIO_BALLOON_F_PAGE_POISON is not offered. So a driver must take reported memory for
 * uninitialised when it uses it again, and Linux does not report at all if it is to find its free
 * pages as it left them (virtballoon_validate in drivers/virtio/virtio_balloon.c).
 */
public final class BalloonDevice implements VirtioDevice {
  private static final int TYPE = 5;
  private static final long F_REPORTING = 1L << 5;

  /** Behind inflateq and deflateq; those between have features of their own (5.5.2, 5.5.3). */
  private static final int REPORTING_QUEUE = 2;

  /** Linux reports 32 blocks at a time (PAGE_REPORTING_CAPACITY), our guest kernel 4. */
  private static final int QUEUE_SIZE = 32;

  /**
   * Bytes taken back before the loop's other handlers have their turn: a huge page. To have the
   * host work longer than that for a step, a guest has to work longer itself.
   */
  private static final long STEP = 2 << 20;

  /** le32 num_pages, which the host wants, and actual, which the guest has given (5.5.4). */
  private static final MemorySegment EMPTY = Arena.global().allocate(2 * Integer.BYTES);

  private final GuestMemory memory;
  private Virtqueue queue;

  /** The report that is worked on, which is the queue's last chain; null if there is none. */
  private DescriptorChain report;

  private int block;
  private long done;

  /** As of System.nanoTime; 0 before the first. Written on the loop, read elsewhere. */
  private volatile long lastReport;

  public BalloonDevice(GuestMemory memory) {
    this.memory = memory;
  }

  @Override
  public int type() {
    return TYPE;
  }

  @Override
  public long features() {
    return F_REPORTING;
  }

  @Override
  public int queues() {
    return REPORTING_QUEUE + 1;
  }

  @Override
  public int maxQueueSize() {
    return QUEUE_SIZE;
  }

  @Override
  public MemorySegment config() {
    return EMPTY;
  }

  @Override
  public void activate(long features, List<Virtqueue> queues) {
    queue = queues.get(REPORTING_QUEUE);
  }

  /** What comes in the other queues was not asked for and is left there. */
  @Override
  public boolean kicked(int index) {
    if (index != REPORTING_QUEUE) {
      return false;
    }
    if (report == null) {
      report = queue.pop();
      if (report == null) {
        return queue.enableKicks();
      }
      block = report.readable();
      done = 0;
    }
    if (block < report.count()) {
      discardStep();
    }
    if (block == report.count()) {
      queue.push(report.head(), 0);
      queue.flush();
      report = null;
      lastReport = System.nanoTime();
    }
    return true;
  }

  /** Whether the guest has reported something, and nothing more for so long. For any thread. */
  public boolean hasReported(Duration quiet) {
    long last = lastReport;
    return last != 0 && System.nanoTime() - last > quiet.toNanos();
  }

  private void discardStep() {
    long length = Math.min(STEP, report.length(block) - done);
    memory.discard(report.address(block) + done, length);
    done += length;
    if (done == report.length(block)) {
      block++;
      done = 0;
    }
  }

  @Override
  public void reset(Runnable whenDone) {
    report = null;
    whenDone.run();
  }

  @Override
  public void close() {}
}
