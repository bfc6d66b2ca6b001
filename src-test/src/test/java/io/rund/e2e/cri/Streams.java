package io.rund.e2e.cri;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/**
 * The streams of an exec, an attach or a forwarded port: channels of one WebSocket, the first byte
 * of a message being the channel's number (v4.channel.k8s.io, k8s.io/apiserver wsstream). Exec and
 * attach: 0 input, 1 output, 2 errors, 3 the end's status, 4 the terminal's size. A forwarded port:
 * 0 data, 1 errors, each beginning with the port's number in two bytes.
 */
public final class Streams implements AutoCloseable, WebSocket.Listener {
  public static final int STDIN = 0;
  public static final int STDOUT = 1;
  public static final int STDERR = 2;
  public static final int STATUS = 3;
  public static final int SIZE = 4;
  private static final Duration BOUND = Duration.ofMinutes(2);

  private final HttpClient http = HttpClient.newHttpClient();
  private final Map<Integer, StringBuilder> received = new TreeMap<>();
  private WebSocket socket;
  private int channel = -1;
  private boolean closed;

  private Streams() {}

  /** Connects to the path of {@code url} at {@code address}, where its server is reached. */
  public static Streams open(URI url, InetSocketAddress address, String query) {
    Streams streams = new Streams();
    URI target =
        URI.create(
            "ws://%s:%d%s%s"
                .formatted(
                    address.getAddress().getHostAddress(),
                    address.getPort(),
                    url.getPath(),
                    query.isEmpty() ? "" : "?" + query));
    streams.socket =
        streams
            .http
            .newWebSocketBuilder()
            .subprotocols("v4.channel.k8s.io")
            .connectTimeout(BOUND)
            .buildAsync(target, streams)
            .orTimeout(BOUND.toSeconds(), TimeUnit.SECONDS)
            .join();
    return streams;
  }

  public void send(int channel, String text) {
    byte[] bytes = text.getBytes(UTF_8);
    ByteBuffer message = ByteBuffer.allocate(bytes.length + 1).put((byte) channel).put(bytes);
    socket.sendBinary(message.flip(), true).orTimeout(BOUND.toSeconds(), TimeUnit.SECONDS).join();
  }

  /** What has come on a channel once {@code part} is in it. */
  public synchronized String await(int channel, String part) throws InterruptedException {
    long end = System.nanoTime() + BOUND.toNanos();
    while (!text(channel).contains(part)) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0 || closed) {
        throw new AssertionError(
            "\"%s\" has not come on channel %d, %s; what has: %s"
                .formatted(part, channel, closed ? "which was closed" : "in time", received));
      }
      wait(left);
    }
    return text(channel);
  }

  private String text(int channel) {
    StringBuilder text = received.get(channel);
    return text == null ? "" : text.toString();
  }

  @Override
  public synchronized CompletionStage<?> onBinary(WebSocket from, ByteBuffer data, boolean last) {
    // A message may come in parts; the number is in the first.
    if (channel < 0 && data.hasRemaining()) {
      channel = data.get();
    }
    if (channel >= 0) {
      received.computeIfAbsent(channel, c -> new StringBuilder()).append(UTF_8.decode(data));
    }
    if (last) {
      channel = -1;
    }
    notifyAll();
    from.request(1);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletionStage<?> onClose(WebSocket from, int code, String reason) {
    closed = true;
    notifyAll();
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized void onError(WebSocket from, Throwable error) {
    closed = true;
    notifyAll();
  }

  @Override
  public void close() {
    socket.abort();
    http.shutdownNow();
  }
}
