package io.rund.core.ttrpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.wire.KeyValue;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class TtrpcServerTest {
  @TempDir Path directory;
  private Path socket;
  private TtrpcServer server;
  private final CountDownLatch waiting = new CountDownLatch(1);
  private final CountDownLatch interrupted = new CountDownLatch(1);

  @BeforeEach
  void serve() {
    socket = directory.resolve("s");
    TtrpcService service =
        new TtrpcService("test.Echo")
            .method(
                "Echo",
                KeyValue.parser(),
                (context, kv) ->
                    kv.toBuilder().setKey(context.metadata().getOrDefault("k", "")).build())
            .method(
                "Missing",
                KeyValue.parser(),
                (_, kv) -> {
                  throw RundException.notFound("no " + kv.getKey());
                })
            .method(
                "Broken",
                KeyValue.parser(),
                (_, _) -> {
                  throw new IllegalStateException("a bug");
                })
            .method(
                "Huge",
                KeyValue.parser(),
                (_, _) -> KeyValue.newBuilder().setValue("x".repeat(5 << 20)).build())
            .waitingMethod("Wait", KeyValue.parser(), (_, _) -> sleep())
            .method(
                "Long",
                KeyValue.parser(),
                (context, kv) -> {
                  waiting.countDown();
                  context.abandoned().join();
                  interrupted.countDown();
                  return kv;
                });
    server = new TtrpcServer(socket, List.of(service));
  }

  private KeyValue sleep() throws InterruptedException {
    waiting.countDown();
    try {
      Thread.sleep(60_000);
    } catch (InterruptedException e) {
      interrupted.countDown();
      throw e;
    }
    return KeyValue.getDefaultInstance();
  }

  @AfterEach
  void stop() {
    server.close();
    assertFalse(Files.exists(socket));
  }

  private static CompletableFuture<KeyValue> call(TtrpcClient client, String method, String value) {
    KeyValue request = KeyValue.newBuilder().setKey(value).setValue(value).build();
    return client.call("test.Echo", method, request, KeyValue.parser(), null);
  }

  private static ErrorCode code(CompletableFuture<?> call) {
    var e = assertThrows(ExecutionException.class, () -> call.get(10, TimeUnit.SECONDS));
    return ((RundException) e.getCause()).code();
  }

  /** A connection that can misbehave. */
  private final class Raw implements AutoCloseable {
    final SocketChannel channel;
    final List<Frame> frames = new ArrayList<>();
    final FrameReader reader = new FrameReader(frames::add, id -> {});

    Raw() throws IOException {
      channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    }

    static Request request(String service, String method) {
      return Request.newBuilder().setService(service).setMethod(method).build();
    }

    void send(ByteBuffer bytes) throws IOException {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    }

    Response next() throws IOException {
      ByteBuffer in = ByteBuffer.allocate(1024);
      while (frames.isEmpty()) {
        if (channel.read(in) < 0) {
          throw new IOException("closed");
        }
        reader.feed(in.flip());
        in.clear();
      }
      return Response.parseFrom(frames.removeFirst().payload());
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  @Test
  void onlyRootMayConnect() throws IOException {
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)));
  }

  @Test
  void errorsAreStatuses() {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      TtrpcClient client = connection.client();
      assertEquals(ErrorCode.NOT_FOUND, code(call(client, "Missing", "x")));
      assertEquals(ErrorCode.INTERNAL, code(call(client, "Broken", "x")));
      assertEquals(ErrorCode.UNIMPLEMENTED, code(call(client, "Nothing", "x")));
      assertEquals(ErrorCode.RESOURCE_EXHAUSTED, code(call(client, "Huge", "x")));
      assertEquals(
          ErrorCode.UNIMPLEMENTED,
          code(
              client.call(
                  "no.Service", "Echo", KeyValue.getDefaultInstance(), KeyValue.parser(), null)));
    }
  }

  @Test
  void manyAtOnceOverManyConnections() throws Exception {
    List<TtrpcSocket> connections = new ArrayList<>();
    List<CompletableFuture<KeyValue>> calls = new ArrayList<>();
    for (int c = 0; c < 4; c++) {
      TtrpcSocket connection = new TtrpcSocket(socket);
      connections.add(connection);
      for (int i = 0; i < 200; i++) {
        calls.add(call(connection.client(), "Echo", "x".repeat(i * 100)));
      }
    }
    for (int i = 0; i < calls.size(); i++) {
      assertEquals(i % 200 * 100, calls.get(i).get().getValue().length());
    }
    connections.forEach(TtrpcSocket::close);
  }

  @Test
  void aRequestMayComeByteByByteWithMetadata() throws Exception {
    try (Raw raw = new Raw()) {
      Request request =
          Raw.request("test.Echo", "Echo").toBuilder()
              .addMetadata(KeyValue.newBuilder().setKey("k").setValue("v"))
              .build();
      ByteBuffer bytes = Frame.encode(1, Frame.REQUEST, request);
      while (bytes.hasRemaining()) {
        raw.send(ByteBuffer.wrap(new byte[] {bytes.get()}));
      }
      assertEquals("v", KeyValue.parseFrom(raw.next().getPayload()).getKey());
    }
  }

  @Test
  void anOversizedRequestFailsAlone() throws Exception {
    try (Raw raw = new Raw()) {
      int length = Frame.MAX_PAYLOAD + 1;
      raw.send(
          ByteBuffer.allocate(Frame.HEADER_SIZE + length)
              .putInt(0, length)
              .putInt(4, 7)
              .put(8, Frame.REQUEST));
      assertEquals(ErrorCode.RESOURCE_EXHAUSTED.grpcCode(), raw.next().getStatus().getCode());
      raw.send(Frame.encode(9, Frame.REQUEST, Raw.request("test.Echo", "Echo")));
      assertEquals(0, raw.next().getStatus().getCode());
    }
  }

  @Test
  void anUnreadableRequestFailsAlone() throws Exception {
    try (Raw raw = new Raw()) {
      byte[] nonsense = {0, 0, 0, 2, 0, 0, 0, 1, 1, 0, (byte) 0xff, (byte) 0xff};
      raw.send(ByteBuffer.wrap(nonsense));
      assertEquals(ErrorCode.INVALID_ARGUMENT.grpcCode(), raw.next().getStatus().getCode());
      Request badPayload =
          Raw.request("test.Echo", "Echo").toBuilder()
              .setPayload(com.google.protobuf.ByteString.copyFrom(new byte[] {-1, -1}))
              .build();
      raw.send(Frame.encode(3, Frame.REQUEST, badPayload));
      assertEquals(ErrorCode.INVALID_ARGUMENT.grpcCode(), raw.next().getStatus().getCode());
    }
  }

  @Test
  void whoDoesNotSpeakTtrpcIsDisconnected() throws Exception {
    Request request = Raw.request("test.Echo", "Echo");
    List<ByteBuffer> wrong =
        List.of(
            ByteBuffer.wrap(
                "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
                    .getBytes(java.nio.charset.StandardCharsets.US_ASCII)),
            Frame.encode(2, Frame.REQUEST, request),
            Frame.encode(1, Frame.RESPONSE, request),
            Frame.encode(1, (byte) 9, request));
    for (ByteBuffer bytes : wrong) {
      try (Raw raw = new Raw()) {
        raw.send(bytes);
        assertEquals("closed", assertThrows(IOException.class, raw::next).getMessage());
      }
    }
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      assertEquals("fine", call(connection.client(), "Echo", "fine").get().getValue());
    }
  }

  @Test
  void waitsEndWhenTheirClientGoes() throws Exception {
    CompletableFuture<KeyValue> call;
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      call = call(connection.client(), "Wait", "");
      assertTrue(waiting.await(10, TimeUnit.SECONDS));
      assertEquals(1, server.inFlight());
    }
    assertEquals(ErrorCode.UNAVAILABLE, code(call));
    assertTrue(interrupted.await(10, TimeUnit.SECONDS));
    while (server.inFlight() > 0) {
      Thread.sleep(1);
    }
  }

  @Test
  void waitsEndAtTheirDeadline() throws Exception {
    try (Raw raw = new Raw()) {
      Request request =
          Raw.request("test.Echo", "Wait").toBuilder()
              .setTimeoutNano(Duration.ofMillis(20).toNanos())
              .build();
      raw.send(Frame.encode(1, Frame.REQUEST, request));
      assertEquals(ErrorCode.DEADLINE_EXCEEDED.grpcCode(), raw.next().getStatus().getCode());
    }
  }

  @Test
  void workIsToldThatItsClientHasGone() throws Exception {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      var _ = call(connection.client(), "Long", "");
      assertTrue(waiting.await(10, TimeUnit.SECONDS));
    }
    assertTrue(interrupted.await(10, TimeUnit.SECONDS));
  }

  @Test
  void workIsToldThatItsDeadlineHasPassedAndStillAnswers() throws Exception {
    try (Raw raw = new Raw()) {
      Request request =
          Raw.request("test.Echo", "Long").toBuilder()
              .setTimeoutNano(Duration.ofMillis(20).toNanos())
              .build();
      raw.send(Frame.encode(1, Frame.REQUEST, request));
      assertEquals(0, raw.next().getStatus().getCode());
    }
  }

  @Test
  void waitsDoNotKeepOthersFromBeingHeardAndAreBounded() throws Exception {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      TtrpcClient client = connection.client();
      List<CompletableFuture<KeyValue>> waits = new ArrayList<>();
      for (int i = 0; i < ServerConnection.MAX_IN_FLIGHT; i++) {
        waits.add(call(client, "Wait", ""));
      }
      assertEquals("heard", call(client, "Echo", "heard").get().getValue());
      assertEquals(ErrorCode.RESOURCE_EXHAUSTED, code(call(client, "Wait", "too many")));
      assertEquals("heard", call(client, "Echo", "heard").get().getValue());
      assertTrue(waits.stream().noneMatch(CompletableFuture::isDone));
    }
  }

  @Test
  void aSecondServerOnTheSocketIsRefused() {
    RundException e =
        assertThrows(RundException.class, () -> new TtrpcServer(socket, List.of()).close());
    assertEquals(ErrorCode.UNAVAILABLE, e.code());
    assertTrue(e.getMessage().contains(socket.toString()), e.getMessage());
  }

  @Test
  void aClientThatDoesNotReadIsNotServedWithoutBound() throws Exception {
    try (Raw raw = new Raw()) {
      raw.channel.configureBlocking(false);
      KeyValue big = KeyValue.newBuilder().setValue("x".repeat(64 << 10)).build();
      Request request =
          Raw.request("test.Echo", "Echo").toBuilder().setPayload(big.toByteString()).build();
      long taken = 0;
      int streamId = 1;
      long lastProgress = System.nanoTime();
      ByteBuffer bytes = Frame.encode(streamId, Frame.REQUEST, request);
      while (System.nanoTime() - lastProgress < 500_000_000L && taken < (256L << 20)) {
        int count = raw.channel.write(bytes);
        taken += count;
        lastProgress = count > 0 ? System.nanoTime() : lastProgress;
        if (!bytes.hasRemaining()) {
          streamId += 2;
          bytes = Frame.encode(streamId, Frame.REQUEST, request);
        }
      }
      assertTrue(taken < (128L << 20), "the server took " + taken + " bytes");
    }
  }
}
