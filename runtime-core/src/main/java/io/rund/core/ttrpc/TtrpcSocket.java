package io.rund.core.ttrpc;

import io.rund.core.error.RundException;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * A {@link TtrpcClient} on a unix socket; a virtual thread reads. Safe for use by several threads.
 */
public final class TtrpcSocket implements AutoCloseable {
  private final SocketChannel channel;
  private final TtrpcClient client;

  /**
   * Connects.
   *
   * @throws RundException UNAVAILABLE if nobody listens there
   */
  public TtrpcSocket(Path socket) {
    try {
      channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    } catch (IOException e) {
      throw RundException.unavailable(
          "cannot connect to %s: %s".formatted(socket, e.getMessage()), e);
    }
    client = new TtrpcClient(socket.toString(), this::write);
    Thread.ofVirtual().name("ttrpc " + socket).start(this::read);
  }

  public TtrpcClient client() {
    return client;
  }

  private void write(ByteBuffer frame) {
    try {
      while (frame.hasRemaining()) {
        channel.write(frame);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private void read() {
    ByteBuffer in = ByteBuffer.allocate(16 << 10);
    try {
      while (channel.read(in) >= 0) {
        client.receive(in.flip());
        in.clear();
      }
      client.fail(new EOFException("it was closed"));
    } catch (IOException e) {
      client.fail(e);
    } finally {
      close();
    }
  }

  /** Ends the connection; calls without an answer fail. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      client.fail(e);
    }
  }
}
