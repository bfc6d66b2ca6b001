package io.rund.core.ttrpc;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import io.rund.core.ttrpc.wire.Status;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * The calling end of one ttrpc connection, over whatever carries bytes: frames go out through a
 * sink, what arrives is handed to {@link #receive}. The peer may be hostile: nothing it sends makes
 * {@link #receive} throw, and it can hold no more memory than one frame.
 *
 * <p>{@link #call} and {@link #fail} may be used from any thread, {@link #receive} from one at a
 * time. Futures complete on the thread that calls {@link #receive}, so what hangs on them must not
 * block it. They fail with {@link RundException}: the peer's status, UNAVAILABLE when the
 * connection has ended, DEADLINE_EXCEEDED, INTERNAL for an answer that cannot be read.
 */
public final class TtrpcClient {
  /** Calls that may wait for an answer at the same time. */
  public static final int MAX_PENDING = 4096;

  /** Characters of a status message that are kept. */
  private static final int MAX_MESSAGE = 2048;

  private final String peer;
  private final Consumer<ByteBuffer> sink;
  private final int maxAnswer;
  private final FrameReader reader;
  private final Map<Integer, Pending<?>> pending = new ConcurrentHashMap<>();

  /** Guards stream ids, their order on the wire, and the end. */
  private final ReentrantLock lock = new ReentrantLock();

  private int nextStreamId = 1;
  private RundException failure;

  /**
   * @param peer whom messages name, such as "agent of sandbox X"
   * @param sink takes whole encoded frames, by one thread at a time and in order; if it throws, the
   *     connection has failed
   */
  public TtrpcClient(String peer, Consumer<ByteBuffer> sink) {
    this(peer, sink, Frame.MAX_PAYLOAD);
  }

  /**
   * For a peer that is not trusted: what it sends is stored, and once parsed takes up to 50 times
   * its length.
   *
   * @param maxAnswer bytes that an answer may be long, at most {@link Frame#MAX_PAYLOAD}
   */
  public TtrpcClient(String peer, Consumer<ByteBuffer> sink, int maxAnswer) {
    this.peer = peer;
    this.sink = sink;
    this.maxAnswer = maxAnswer;
    this.reader = new FrameReader(maxAnswer, this::onFrame, this::onOversized);
  }

  /** A call that has no answer yet. */
  private static final class Pending<T extends MessageLite> extends CompletableFuture<T> {
    private final String method;
    private final Parser<T> parser;

    Pending(String method, Parser<T> parser) {
      this.method = method;
      this.parser = parser;
    }
  }

  /**
   * Sends a request. Never throws; all errors come through the future. Cancelling the future
   * forgets the call here, the peer is not told.
   *
   * @param timeout how long to wait for the answer; null or zero is for ever
   */
  public <T extends MessageLite> CompletableFuture<T> call(
      String service, String method, MessageLite request, Parser<T> parser, Duration timeout) {
    long timeoutNanos = timeout == null ? 0 : timeout.toNanos();
    Request envelope =
        Request.newBuilder()
            .setService(service)
            .setMethod(method)
            .setPayload(request.toByteString())
            .setTimeoutNano(timeoutNanos)
            .build();
    Pending<T> call = new Pending<>(method, parser);
    if (envelope.getSerializedSize() > Frame.MAX_PAYLOAD) {
      call.completeExceptionally(
          RundException.invalid(
              "%s to %s is %d bytes long, at most %d are possible"
                  .formatted(method, peer, envelope.getSerializedSize(), Frame.MAX_PAYLOAD)));
    } else if (pending.size() >= MAX_PENDING) {
      call.completeExceptionally(
          new RundException(
              ErrorCode.RESOURCE_EXHAUSTED,
              "%s to %s: %d calls await an answer already".formatted(method, peer, MAX_PENDING)));
    } else {
      send(envelope, call);
      if (timeoutNanos > 0) {
        expire(call, timeoutNanos);
      }
    }
    return call;
  }

  private void send(Request envelope, Pending<?> call) {
    lock.lock();
    try {
      if (failure != null) {
        call.completeExceptionally(failure);
        return;
      }
      // Clients use odd ids, each greater than the last (containerd/ttrpc PROTOCOL.md).
      int streamId = nextStreamId;
      nextStreamId += 2;
      pending.put(streamId, call);
      var _ = call.whenComplete((_, _) -> pending.remove(streamId, call));
      sink.accept(Frame.encode(streamId, Frame.REQUEST, envelope));
    } catch (RuntimeException e) {
      fail(e);
    } finally {
      lock.unlock();
    }
  }

  private void expire(Pending<?> call, long timeoutNanos) {
    CompletableFuture<Void> timer =
        new CompletableFuture<Void>().completeOnTimeout(null, timeoutNanos, TimeUnit.NANOSECONDS);
    var _ =
        timer.thenRun(
            () ->
                call.completeExceptionally(
                    new RundException(
                        ErrorCode.DEADLINE_EXCEEDED,
                        "%s did not answer %s within %d ms"
                            .formatted(
                                peer, call.method, TimeUnit.NANOSECONDS.toMillis(timeoutNanos)))));
    var _ =
        call.handle(
            (_, _) -> {
              timer.cancel(false);
              return null;
            });
  }

  /** Takes bytes from the peer, all of {@code in}. Never throws. */
  public void receive(ByteBuffer in) {
    reader.feed(in);
  }

  /** Ends the connection: all calls, now and later, fail with UNAVAILABLE. Idempotent. */
  public void fail(Throwable cause) {
    RundException reason;
    lock.lock();
    try {
      if (failure != null) {
        return;
      }
      failure =
          RundException.unavailable(
              "the connection to %s has ended: %s".formatted(peer, cause.getMessage()), cause);
      reason = failure;
    } finally {
      lock.unlock();
    }
    pending.values().forEach(call -> call.completeExceptionally(reason));
  }

  private void onFrame(Frame frame) {
    Pending<?> call = frame.type() == Frame.RESPONSE ? pending.get(frame.streamId()) : null;
    if (call != null) {
      answer(call, frame.payload());
    }
  }

  private <T extends MessageLite> void answer(Pending<T> call, ByteBuffer payload) {
    try {
      Response response = Response.parseFrom(payload);
      Status status = response.getStatus();
      if (status.getCode() == 0) {
        call.complete(call.parser.parseFrom(response.getPayload()));
      } else {
        call.completeExceptionally(
            new RundException(
                ErrorCode.fromGrpcCode(status.getCode()), printable(status.getMessage())));
      }
    } catch (InvalidProtocolBufferException e) {
      call.completeExceptionally(
          RundException.internal(
              "the answer of %s to %s cannot be read".formatted(peer, call.method), e));
    }
  }

  private void onOversized(int streamId) {
    Pending<?> call = pending.get(streamId);
    if (call != null) {
      call.completeExceptionally(
          RundException.internal(
              "the answer of %s to %s is longer than %d bytes"
                  .formatted(peer, call.method, maxAnswer),
              null));
    }
  }

  /**
   * A message may be made by a guest and ends in terminals and logs: no control characters, no
   * novel.
   */
  private static String printable(String message) {
    StringBuilder out = new StringBuilder(Math.min(message.length(), MAX_MESSAGE));
    for (int i = 0; i < message.length() && out.length() < MAX_MESSAGE; i++) {
      char c = message.charAt(i);
      out.append(Character.isISOControl(c) ? ' ' : c);
    }
    return out.toString();
  }
}
