package io.rund.agent;

import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.ttrpc.Frame;
import io.rund.core.ttrpc.TtrpcClient;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;

/**
 * The ttrpc client on one vsock stream. Calls come from any thread; bytes move on the stream's
 * loop. An agent that takes no requests is given up when {@link #MAX_UNSENT} bytes of them wait:
 * calls end at their time limit, but what they had to say would wait for ever.
 */
final class AgentConnection implements VsockStream.Handler {
  private static final String SERVICE = "rund.agent.v1.Agent";

  /** A guest that sends more at once than this yields to the other sandboxes of the loop. */
  private static final int READ_BUDGET = 16;

  /**
   * Bytes of requests that may wait for the agent: one of the longest and some more. They are on
   * the heap, which all sandboxes share.
   */
  static final int MAX_UNSENT = Frame.MAX_PAYLOAD + (1 << 20);

  /** Statistics with every counter that a kernel has are a few KiB. */
  private static final int MAX_ANSWER = 128 * 1024;

  /** One for all sandboxes of an event loop: what it holds is taken before anything else runs. */
  private static final ThreadLocal<ByteBuffer> RECEIVED =
      ThreadLocal.withInitial(() -> ByteBuffer.allocate(16 * 1024));

  private final VsockStream stream;
  private final TtrpcClient client = new TtrpcClient("the sandbox's agent", this::send, MAX_ANSWER);
  private final CompletableFuture<Void> whenClosed = new CompletableFuture<>();
  private final Queue<ByteBuffer> unsent = new ArrayDeque<>();
  private long unsentBytes;

  AgentConnection(VsockStream stream) {
    this.stream = stream;
    stream.handler(this);
  }

  <T extends MessageLite> CompletableFuture<T> call(
      String method, MessageLite request, Parser<T> parser, Duration timeout) {
    return client.call(SERVICE, method, request, parser, timeout);
  }

  /** Completes when the connection has ended. */
  CompletableFuture<Void> whenClosed() {
    return whenClosed;
  }

  private void send(ByteBuffer frame) {
    stream
        .loop()
        .execute(
            () -> {
              unsent.add(frame);
              unsentBytes += frame.remaining();
              writable();
              if (unsentBytes > MAX_UNSENT) {
                stream.close();
                end();
              }
            });
  }

  @Override
  public void readable() {
    ByteBuffer received = RECEIVED.get();
    for (int i = 0; i < READ_BUDGET; i++) {
      received.clear();
      int count = stream.read(received);
      if (count == 0) {
        return;
      }
      if (count < 0) {
        stream.close();
        end();
        return;
      }
      client.receive(received.flip());
    }
    stream.loop().execute(this::readable);
  }

  @Override
  public void writable() {
    for (ByteBuffer frame = unsent.peek(); frame != null; frame = unsent.peek()) {
      unsentBytes -= stream.write(frame);
      if (frame.hasRemaining()) {
        return;
      }
      unsent.remove();
    }
  }

  @Override
  public void closed() {
    end();
  }

  private void end() {
    unsent.clear();
    unsentBytes = 0;
    // First, so that whose call fails for it can tell.
    whenClosed.complete(null);
    client.fail(RundException.unavailable("the sandbox's agent is gone", null));
  }
}
