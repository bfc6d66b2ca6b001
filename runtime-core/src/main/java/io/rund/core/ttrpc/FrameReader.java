package io.rund.core.ttrpc;

import java.nio.ByteBuffer;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/**
 * Cuts a byte stream into frames, however it was fragmented. Holds at most one frame's payload. A
 * frame that is too long is skipped without being stored, and reported, so that its caller alone
 * gets an error. Not safe for use by several threads.
 */
public final class FrameReader {
  private final int maxPayload;
  private final Consumer<Frame> onFrame;
  private final IntConsumer onOversized;
  private final ByteBuffer header = ByteBuffer.allocate(Frame.HEADER_SIZE);
  private ByteBuffer payload;
  private long toSkip;

  /**
   * @param onFrame takes each whole frame; its payload is the receiver's
   * @param onOversized takes the stream id of each frame that was too long
   */
  public FrameReader(Consumer<Frame> onFrame, IntConsumer onOversized) {
    this(Frame.MAX_PAYLOAD, onFrame, onOversized);
  }

  /** With a limit of its own, at most {@link Frame#MAX_PAYLOAD} bytes of payload. */
  FrameReader(int maxPayload, Consumer<Frame> onFrame, IntConsumer onOversized) {
    this.maxPayload = maxPayload;
    this.onFrame = onFrame;
    this.onOversized = onOversized;
  }

  /** Takes all of {@code in}. */
  public void feed(ByteBuffer in) {
    while (in.hasRemaining()) {
      if (toSkip > 0) {
        int skip = (int) Math.min(toSkip, in.remaining());
        in.position(in.position() + skip);
        toSkip -= skip;
      } else if (payload == null) {
        transfer(in, header);
        if (!header.hasRemaining()) {
          beginPayload();
        }
      } else {
        transfer(in, payload);
      }
      if (payload != null && !payload.hasRemaining()) {
        Frame frame = new Frame(header.getInt(4), header.get(8), payload.flip());
        payload = null;
        header.clear();
        onFrame.accept(frame);
      }
    }
  }

  private void beginPayload() {
    long length = Integer.toUnsignedLong(header.getInt(0));
    if (length > maxPayload) {
      toSkip = length;
      int streamId = header.getInt(4);
      header.clear();
      onOversized.accept(streamId);
    } else {
      payload = ByteBuffer.allocate((int) length);
    }
  }

  private static void transfer(ByteBuffer from, ByteBuffer to) {
    int count = Math.min(from.remaining(), to.remaining());
    to.put(to.position(), from, from.position(), count);
    to.position(to.position() + count);
    from.position(from.position() + count);
  }
}
