package io.rund.e2e;

import com.google.protobuf.MessageLite;
import io.rund.core.error.ErrorCode;
import io.rund.core.ttrpc.Frame;
import io.rund.core.ttrpc.wire.KeyValue;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import io.rund.shim.wire.task.CreateTaskRequest;
import io.rund.shim.wire.task.DeleteRequest;
import io.rund.shim.wire.task.StartRequest;
import io.rund.shim.wire.task.WaitRequest;
import io.rund.shim.wire.task.WaitResponse;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * Speaks to an engine as containerd does, to say what containerd never would: {@code SOCKET ID
 * BUNDLE} runs a task from a bundle to its end and prints the error as {@code code=} and {@code
 * message=}, the exit status as {@code exit=}. A program of its own, for the socket is in the lab.
 */
final class RawCreate {
  private static final String SERVICE = "containerd.task.v2.Task";

  private final SocketChannel channel;
  private int nextStream = 1;

  private RawCreate(SocketChannel channel) {
    this.channel = channel;
  }

  public static void main(String[] args) throws IOException {
    CreateTaskRequest.Builder create =
        CreateTaskRequest.newBuilder().setId(args[1]).setBundle(args[2]);
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(Path.of(args[0])))) {
      RawCreate engine = new RawCreate(channel);
      Response response = engine.call("Create", create.build());
      if (response.getStatus().getCode() == 0) {
        response = engine.call("Start", StartRequest.newBuilder().setId(args[1]).build());
        Response ended = engine.call("Wait", WaitRequest.newBuilder().setId(args[1]).build());
        WaitResponse exit = WaitResponse.parseFrom(ended.getPayload());
        System.out.println("exit=" + exit.getExitStatus());
        var _ = engine.call("Delete", DeleteRequest.newBuilder().setId(args[1]).build());
      }
      int code = response.getStatus().getCode();
      System.out.println("code=" + (code == 0 ? "OK" : ErrorCode.fromGrpcCode(code)));
      System.out.println("message=" + response.getStatus().getMessage().replace('\n', ' '));
    }
  }

  private Response call(String method, MessageLite request) throws IOException {
    Request envelope =
        Request.newBuilder()
            .setService(SERVICE)
            .setMethod(method)
            .setPayload(request.toByteString())
            .addMetadata(KeyValue.newBuilder().setKey("containerd-namespace-ttrpc").setValue("e2e"))
            .build();
    ByteBuffer frame = Frame.encode(nextStream, Frame.REQUEST, envelope);
    nextStream += 2;
    while (frame.hasRemaining()) {
      channel.write(frame);
    }
    int length = read(Frame.HEADER_SIZE).getInt();
    return Response.parseFrom(read(length));
  }

  private ByteBuffer read(int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes) < 0) {
        throw new EOFException("the engine hung up");
      }
    }
    return bytes.flip();
  }
}
