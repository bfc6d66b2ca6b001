package io.rund.kvm.virtio.fs;

import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.kvm.fs.SharedFileSystem;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.virtio.VirtioDevice;
import io.rund.kvm.virtio.Virtqueue;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/**
 * A file system device (virtio 1.2, 5.11): a queue for what must never wait (forgetting nodes) and
 * one for requests. Linux gives each CPU a queue if it can, but all of them share one interrupt
 * here, so that more would gain little. There is no DAX window.
 */
public final class FsDevice implements VirtioDevice {
  private static final int TYPE = 26;

  /**
   * A request of {@link FuseSession#MAX_TRANSFER} in pages, with four more buffers, fits: Linux
   * makes its requests so small that they do (fs/fuse/virtio_fs.c, max_pages_limit). It also bounds
   * what is under way.
   */
  static final int QUEUE_SIZE = 512;

  private static final int HIPRIO = 0;
  private static final int REQUESTS = 1;
  private static final int QUEUES = 2;

  /** struct virtio_fs_config: the tag, padded with zeros, and the number of request queues. */
  private static final int TAG_SIZE = 36;

  private static final int CONFIG_SIZE = TAG_SIZE + 4;

  private final SharedFileSystem fs;
  private final FuseSession session;
  private final FsQueue[] queues = new FsQueue[QUEUES];
  private final MemorySegment config;

  /**
   * The device owns {@code fs}.
   *
   * @param tag what the guest mounts: at most 36 bytes of ASCII
   */
  public FsDevice(
      GuestMemory memory, EventLoop loop, FsThreads threads, String tag, SharedFileSystem fs) {
    this.fs = fs;
    session = new FuseSession(fs);
    queues[HIPRIO] = new FsQueue(memory, loop, threads, session, 1);
    queues[REQUESTS] = new FsQueue(memory, loop, threads, session, FsThreads.PER_DEVICE);
    config = configSpace(tag);
  }

  private static MemorySegment configSpace(String tag) {
    byte[] bytes = tag.getBytes(StandardCharsets.US_ASCII);
    if (bytes.length == 0 || bytes.length > TAG_SIZE) {
      throw new IllegalArgumentException("tag of " + bytes.length + " bytes: " + tag);
    }
    MemorySegment config = MemorySegment.ofArray(new byte[CONFIG_SIZE]);
    MemorySegment.copy(MemorySegment.ofArray(bytes), 0, config, 0, bytes.length);
    config.set(Wire.INT, TAG_SIZE, QUEUES - REQUESTS);
    return config.asReadOnly();
  }

  @Override
  public int type() {
    return TYPE;
  }

  /** None: VIRTIO_FS_F_NOTIFICATION is no use without requests of the device's own. */
  @Override
  public long features() {
    return 0;
  }

  @Override
  public int queues() {
    return QUEUES;
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
  public void activate(long features, List<Virtqueue> virtqueues) {
    for (int i = 0; i < QUEUES; i++) {
      queues[i].activate(virtqueues.get(i));
    }
  }

  @Override
  public Optional<Watch> watch(int index, Fd kick) {
    return Optional.of(queues[index].watch(kick));
  }

  @Override
  public boolean kicked(int index) {
    throw new IllegalStateException("the loop was told of a kick of queue " + index);
  }

  /**
   * What {@link #restore} needs, beside the state of the queues; while no vCPU runs and no share
   * comes or goes. Any thread.
   *
   * @throws RundException UNAVAILABLE if requests are under way
   */
  public FsDeviceState state() {
    for (FsQueue queue : queues) {
      if (!queue.isAtRest()) {
        throw RundException.unavailable("virtio-fs: requests are under way", null);
      }
    }
    return session.state();
  }

  /**
   * Goes on for a guest that used another device. To be called before a vCPU runs and before the
   * queues go on, when the shares that the guest knew have been added.
   *
   * @throws RundException as {@link SharedFileSystem#restore}
   */
  public void restore(FsDeviceState state) {
    session.restore(state);
  }

  /** Nodes stay until the driver's next INIT, or the end. */
  @Override
  public void reset(Runnable done) {
    queues[HIPRIO].stop(() -> queues[REQUESTS].stop(done));
  }

  @Override
  public void close() {
    fs.close();
  }
}
