package io.rund.core.ttrpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.wire.KeyValue;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import io.rund.core.ttrpc.wire.Status;
import java.io.EOFException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class TtrpcClientTest {
  private final List<Frame> sent = new ArrayList<>();
  private final TtrpcClient client =
      new TtrpcClient(
          "the peer",
          frame -> new FrameReader(sent::add, id -> sent.add(null)).feed(frame.duplicate()));

  private CompletableFuture<KeyValue> call(Duration timeout) {
    KeyValue request = KeyValue.newBuilder().setKey("question").build();
    return client.call("test.Service", "Ask", request, KeyValue.parser(), timeout);
  }

  private void receive(int streamId, byte type, MessageLite message) {
    client.receive(Frame.encode(streamId, type, message));
  }

  private static Response ok(String value) {
    ByteString payload = KeyValue.newBuilder().setValue(value).build().toByteString();
    return Response.newBuilder().setPayload(payload).build();
  }

  private static RundException failure(CompletableFuture<?> call) {
    ExecutionException e =
        assertThrows(ExecutionException.class, () -> call.get(5, TimeUnit.SECONDS));
    return (RundException) e.getCause();
  }

  @Test
  void answersFindTheirCallsInAnyOrderAndAnyPieces() throws Exception {
    var first = call(null);
    var second = call(Duration.ZERO);
    assertEquals(List.of(1, 3), sent.stream().map(Frame::streamId).toList());
    Request request = Request.parseFrom(sent.getFirst().payload());
    assertEquals("test.Service", request.getService());
    assertEquals("Ask", request.getMethod());
    assertEquals("question", KeyValue.parseFrom(request.getPayload()).getKey());

    receive(3, Frame.RESPONSE, ok("two"));
    ByteBuffer bytes = Frame.encode(1, Frame.RESPONSE, ok("one"));
    while (bytes.hasRemaining()) {
      assertFalse(first.isDone());
      client.receive(ByteBuffer.wrap(new byte[] {bytes.get()}));
    }
    assertEquals("one", first.get().getValue());
    assertEquals("two", second.get().getValue());
  }

  @Test
  void statusBecomesAnErrorWithAPrintableMessage() {
    var call = call(null);
    Status status =
        Status.newBuilder()
            .setCode(5)
            .setMessage("no\u001b[2Jsuch\nthing" + "x".repeat(1 << 20))
            .build();
    receive(1, Frame.RESPONSE, Response.newBuilder().setStatus(status).build());
    RundException e = failure(call);
    assertEquals(ErrorCode.NOT_FOUND, e.code());
    assertTrue(e.getMessage().startsWith("no [2Jsuch thing"), e.getMessage());
    assertTrue(e.getMessage().length() < 5000);
  }

  @Test
  void nonsenseFromThePeerHarmsNobodyElse() throws Exception {
    var undecodable = call(null);
    var oversized = call(null);
    var good = call(null);
    receive(99, Frame.RESPONSE, ok("nobody asked"));
    receive(5, Frame.DATA, ok("not an answer"));
    receive(5, (byte) 77, ok("not a type"));
    ByteString notAMessage = ByteString.copyFrom(new byte[] {(byte) 0xff, (byte) 0xff});
    receive(1, Frame.RESPONSE, Response.newBuilder().setPayload(notAMessage).build());
    client.receive(
        ByteBuffer.allocate(Frame.HEADER_SIZE + 5_000_000)
            .putInt(0, 5_000_000)
            .putInt(4, 3)
            .put(8, Frame.RESPONSE));
    receive(5, Frame.RESPONSE, ok("yes"));
    receive(5, Frame.RESPONSE, ok("again"));
    assertEquals(ErrorCode.INTERNAL, failure(undecodable).code());
    assertEquals(ErrorCode.INTERNAL, failure(oversized).code());
    assertEquals("yes", good.get().getValue());
  }

  @Test
  void answersOfAnUntrustedPeerHaveALimitOfTheirOwn() throws Exception {
    TtrpcClient careful = new TtrpcClient("the peer", frame -> {}, 100);
    KeyValue request = KeyValue.getDefaultInstance();
    var tooLong = careful.call("s", "m", request, KeyValue.parser(), null);
    var fits = careful.call("s", "m", request, KeyValue.parser(), null);
    careful.receive(Frame.encode(1, Frame.RESPONSE, ok("x".repeat(200))));
    careful.receive(Frame.encode(3, Frame.RESPONSE, ok("x".repeat(80))));
    assertEquals(
        "the answer of the peer to m is longer than 100 bytes", failure(tooLong).getMessage());
    assertEquals(80, fits.get().getValue().length());
  }

  @Test
  void theEndFailsAllCallsNowAndLater() {
    var call = call(Duration.ofHours(1));
    client.fail(new EOFException("gone"));
    client.fail(new EOFException("twice"));
    assertEquals(ErrorCode.UNAVAILABLE, failure(call).code());
    assertEquals("the connection to the peer has ended: gone", failure(call(null)).getMessage());
  }

  @Test
  void silenceIsADeadline() {
    assertEquals(ErrorCode.DEADLINE_EXCEEDED, failure(call(Duration.ofMillis(10))).code());
  }

  @Test
  void tooMuchIsRefusedHere() {
    KeyValue huge = KeyValue.newBuilder().setKey("x".repeat(Frame.MAX_PAYLOAD)).build();
    var call = client.call("test.Service", "Ask", huge, KeyValue.parser(), null);
    assertEquals(ErrorCode.INVALID_ARGUMENT, failure(call).code());

    List<CompletableFuture<?>> calls = new ArrayList<>();
    for (int i = 0; i < TtrpcClient.MAX_PENDING; i++) {
      calls.add(call(null));
    }
    assertEquals(ErrorCode.RESOURCE_EXHAUSTED, failure(call(null)).code());
    calls.getFirst().cancel(false);
    assertFalse(call(null).isDone());
  }

  @Test
  void aSinkThatThrowsIsTheEnd() {
    TtrpcClient broken =
        new TtrpcClient(
            "the peer",
            frame -> {
              throw new IllegalStateException("full");
            });
    var call =
        broken.call("s", "m", KeyValue.getDefaultInstance(), KeyValue.parser(), Duration.ZERO);
    assertEquals(ErrorCode.UNAVAILABLE, failure(call).code());
  }
}
