package io.rund.core.hypervisor;

import io.rund.core.linux.EventLoop;
import java.nio.ByteBuffer;

/**
 * One vsock connection between a guest and this process, seen from the host's end. It never blocks,
 * and belongs to the VM's event loop: every method and every callback runs on that thread.
 *
 * <p>Flow control is the protocol's own (virtio 1.2, 5.10.6.3): the guest may send no more than the
 * stream's receive buffer holds, so a reader that stops reading stops the guest's writer and
 * nothing grows.
 */
public interface VsockStream extends AutoCloseable {
  /** What the stream tells its user. */
  interface Handler {
    /** There are bytes to read, or the guest will send no more. */
    void readable();

    /** {@link #write} would now accept at least one byte, after it had refused some. */
    void writable();

    /**
     * The stream is gone (closed by either side, reset, or the VM ended). Called once; nothing
     * follows.
     */
    void closed();
  }

  /** Sets the handler; called once, in the accept callback. */
  void handler(Handler handler);

  EventLoop loop();

  /**
   * Reads into {@code dst}: the number of bytes, 0 if there are none now, -1 if the guest sends no
   * more.
   */
  int read(ByteBuffer dst);

  /** Sends from {@code src} as much as credit allows: the number of bytes taken, perhaps 0. */
  int write(ByteBuffer src);

  /** Tells the guest that no more will be written. */
  void shutdownOutput();

  /** Ends the stream; what was written is still delivered. Idempotent. */
  @Override
  void close();
}
