package io.rund.core.ttrpc;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.concurrent.Future;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcService.RequestContext;
import io.rund.core.ttrpc.wire.KeyValue;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import io.rund.core.ttrpc.wire.Status;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client of a {@link TtrpcServer}. Reading stops while the client does not take its answers.
 *
 * <p>It does not stop for the number of requests: waits may fill it for hours, and the kill that
 * would end them has to come through. Past {@link #MAX_IN_FLIGHT} waits, or as many other requests,
 * one more of that kind is refused instead.
 */
final class ServerConnection extends ChannelInboundHandlerAdapter {
  private static final Logger log = LoggerFactory.getLogger(ServerConnection.class);
  static final int MAX_IN_FLIGHT = 1024;

  private final TtrpcServer server;
  private final Channel channel;
  private final FrameReader reader = new FrameReader(this::onFrame, this::onOversized);
  private final Set<Call> calls = ConcurrentHashMap.newKeySet();
  private final ConcurrentMap<String, String> notes = new ConcurrentHashMap<>();

  /** How many of the calls wait for something that may never come. */
  private final AtomicInteger waits = new AtomicInteger();

  private int lastStreamId = -1;

  ServerConnection(TtrpcServer server, Channel channel) {
    this.server = server;
    this.channel = channel;
  }

  /** A request that runs. */
  private final class Call implements Runnable {
    private final int streamId;
    private final String name;
    private final TtrpcService.Method<?> method;
    private final Request request;
    private final Thread thread;
    private final Future<?> deadline;
    private final CompletableFuture<Void> abandoned = new CompletableFuture<>();

    Call(int streamId, String name, TtrpcService.Method<?> method, Request request) {
      this.streamId = streamId;
      this.name = name;
      this.method = method;
      this.request = request;
      this.thread = Thread.ofVirtual().name(name + "#" + streamId).unstarted(this);
      this.deadline =
          request.getTimeoutNano() > 0
              ? channel
                  .eventLoop()
                  .schedule(this::abandon, request.getTimeoutNano(), TimeUnit.NANOSECONDS)
              : null;
    }

    @Override
    public void run() {
      try {
        send(streamId, answer(name, method, request, abandoned));
      } finally {
        end();
      }
    }

    void start() {
      server.requestBegins();
      calls.add(this);
      if (method.interruptible()) {
        waits.incrementAndGet();
      }
      try {
        thread.start();
      } catch (Throwable e) {
        end();
        throw e;
      }
    }

    private void end() {
      calls.remove(this);
      if (method.interruptible()) {
        waits.decrementAndGet();
      }
      server.requestEnds();
      if (deadline != null) {
        deadline.cancel(false);
      }
    }

    /** The caller is gone, or does not wait any longer. */
    void abandon() {
      abandoned.complete(null);
      if (method.interruptible()) {
        thread.interrupt();
      }
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    ByteBuf in = (ByteBuf) message;
    try {
      for (ByteBuffer part : in.nioBuffers()) {
        if (channel.isOpen()) {
          reader.feed(part);
        }
      }
    } finally {
      in.release();
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext context) {
    channel.config().setAutoRead(channel.isWritable());
  }

  @Override
  public void channelInactive(ChannelHandlerContext context) {
    calls.forEach(Call::abandon);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
    log.debug("ttrpc connection ends", cause);
    var _ = channel.close();
  }

  private void onFrame(Frame frame) {
    if (!channel.isOpen()) {
      return;
    }
    if (frame.type() != Frame.REQUEST) {
      log.warn("closing a ttrpc connection: frame of type {}, not a request", frame.type());
      var _ = channel.close();
    } else if (isNewStream(frame.streamId())) {
      begin(frame.streamId(), frame.payload());
    }
  }

  private void onOversized(int streamId) {
    if (channel.isOpen() && isNewStream(streamId)) {
      String limit = "a request may be %d bytes long at most".formatted(Frame.MAX_PAYLOAD);
      fail(streamId, ErrorCode.RESOURCE_EXHAUSTED, limit);
    }
  }

  /** Clients open streams with odd, ever greater ids; who does not, does not speak ttrpc. */
  private boolean isNewStream(int streamId) {
    if ((streamId & 1) == 0 || streamId <= lastStreamId) {
      log.warn("closing a ttrpc connection: stream id {} after {}", streamId, lastStreamId);
      var _ = channel.close();
      return false;
    }
    lastStreamId = streamId;
    return true;
  }

  private void begin(int streamId, ByteBuffer payload) {
    Request request;
    try {
      request = Request.parseFrom(payload);
    } catch (InvalidProtocolBufferException e) {
      fail(streamId, ErrorCode.INVALID_ARGUMENT, "the request cannot be read: " + e.getMessage());
      return;
    }
    String name = request.getService() + "/" + request.getMethod();
    TtrpcService service = server.service(request.getService());
    TtrpcService.Method<?> method = service == null ? null : service.find(request.getMethod());
    if (method == null) {
      fail(streamId, ErrorCode.UNIMPLEMENTED, name + " is not implemented");
    } else if (alike(method) >= MAX_IN_FLIGHT) {
      fail(
          streamId,
          ErrorCode.RESOURCE_EXHAUSTED,
          "%s: the connection has %d requests without an answer".formatted(name, MAX_IN_FLIGHT));
    } else {
      try {
        new Call(streamId, name, method, request).start();
      } catch (OutOfMemoryError e) {
        // containerd would take the end of the connection for that of the sandbox.
        log.warn("{}: the host has no thread for it: {}", name, e.getMessage());
        fail(streamId, ErrorCode.RESOURCE_EXHAUSTED, name + ": the host has no thread for it");
      }
    }
  }

  /** How many calls there are that wait, or that do not. */
  private int alike(TtrpcService.Method<?> method) {
    int waiting = waits.get();
    return method.interruptible() ? waiting : calls.size() - waiting;
  }

  private Response answer(
      String name,
      TtrpcService.Method<?> method,
      Request request,
      CompletableFuture<Void> abandoned) {
    Map<String, String> metadata =
        request.getMetadataList().stream()
            .collect(Collectors.toMap(KeyValue::getKey, KeyValue::getValue, (_, last) -> last));
    try {
      RequestContext context = new RequestContext(metadata, notes, abandoned);
      MessageLite answer = method.call(context, request.getPayload());
      return Response.newBuilder().setPayload(answer.toByteString()).build();
    } catch (RundException e) {
      log.debug("{} failed", name, e);
      return failure(e.code(), e.getMessage());
    } catch (InvalidProtocolBufferException e) {
      return failure(ErrorCode.INVALID_ARGUMENT, name + " cannot be read: " + e.getMessage());
    } catch (InterruptedException e) {
      return failure(ErrorCode.DEADLINE_EXCEEDED, name + " was given up");
    } catch (Throwable e) {
      log.error("{} failed", name, e);
      return failure(ErrorCode.INTERNAL, "%s failed: %s".formatted(name, e));
    }
  }

  private static Response failure(ErrorCode code, String message) {
    Status status =
        Status.newBuilder()
            .setCode(code.grpcCode())
            .setMessage(message == null ? code.name() : message)
            .build();
    return Response.newBuilder().setStatus(status).build();
  }

  private void fail(int streamId, ErrorCode code, String message) {
    send(streamId, failure(code, message));
  }

  private void send(int streamId, Response response) {
    Response fitting =
        response.getSerializedSize() <= Frame.MAX_PAYLOAD
            ? response
            : failure(ErrorCode.RESOURCE_EXHAUSTED, "the answer is too long for ttrpc");
    try {
      var _ =
          channel.writeAndFlush(
              Unpooled.wrappedBuffer(Frame.encode(streamId, Frame.RESPONSE, fitting)),
              channel.voidPromise());
    } catch (RejectedExecutionException e) {
      log.debug("an answer came after the server was closed", e);
    }
  }
}
