package io.rund.core.stdio;

import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Interest;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;

/**
 * Moves the bytes of one standard stream between a FIFO and a vsock stream, on the VM's event loop,
 * with one buffer: whoever does not take his bytes stops the other end and nobody else.
 */
abstract sealed class Pump implements VsockStream.Handler, EventLoop.Handler
    permits Pump.Input, Pump.Output {
  private static final int BUFFER_SIZE = 32 * 1024;

  /** A stream that always has bytes yields to the others of its loop after so many buffers. */
  private static final int BUDGET = 8;

  private final CompletableFuture<Void> done = new CompletableFuture<>();
  private Arena arena;

  final Fifo fifo;
  final VsockStream stream;

  /**
   * Ready to be drained: what lies between position and limit is on its way. Null before the first
   * byte.
   */
  ByteBuffer buffer;

  private final Interest interest;
  private boolean ended;

  Pump(Fifo fifo, VsockStream stream) {
    this.fifo = fifo;
    this.stream = stream;
    this.interest = new Interest(stream.loop(), fifo.number(), this);
    stream.handler(this);
  }

  /** Completes when nothing more will move. */
  CompletableFuture<Void> done() {
    return done;
  }

  /** Moves bytes until one end has to be waited for. Called on the loop. */
  final void run() {
    for (int i = 0; i < BUDGET; i++) {
      if (ended || !move()) {
        return;
      }
    }
    stream.loop().execute(this::run);
  }

  /** Moves at most one buffer; false when there is nothing to do before the next event. */
  abstract boolean move();

  @SuppressWarnings("MustBeClosedChecker") // end() closes it, on every path
  final ByteBuffer buffer() {
    if (buffer == null) {
      // Confined to the loop's thread, which is the only one that ever comes here.
      arena = Arena.ofConfined();
      buffer = arena.allocate(BUFFER_SIZE).asByteBuffer().limit(0);
    }
    return buffer;
  }

  /** Waits for the FIFO; 0 waits for nothing. */
  final void await(int events) {
    interest.await(events);
  }

  @Override
  public final void ready(int events) {
    run();
  }

  @Override
  public final void failed(Throwable cause) {
    interest.lost();
    end();
  }

  @Override
  public final void closed() {
    end();
  }

  /** Releases both ends. Called on the loop; idempotent. */
  final void end() {
    if (ended) {
      return;
    }
    ended = true;
    await(0);
    fifo.close();
    stream.close();
    if (arena != null) {
      arena.close();
      buffer = null;
    }
    done.complete(null);
  }

  /** From the client to the process. */
  static final class Input extends Pump {
    Input(Fifo fifo, VsockStream stream) {
      super(fifo, stream);
      await(Linux.EPOLLIN);
    }

    @Override
    boolean move() {
      ByteBuffer bytes = buffer();
      if (!bytes.hasRemaining()) {
        int count = fifo.read(bytes.clear());
        bytes.flip();
        if (count == Fifo.WOULD_BLOCK) {
          await(Linux.EPOLLIN);
          return false;
        }
        if (count < 0) {
          await(0);
          fifo.close();
          stream.shutdownOutput();
          return false;
        }
      }
      stream.write(bytes);
      if (bytes.hasRemaining()) {
        await(0);
        return false;
      }
      return true;
    }

    @Override
    public void readable() {
      // The guest never sends on an input stream: its end, or a byte against the protocol.
      if (stream.read(ByteBuffer.allocate(1)) != 0) {
        end();
      }
    }

    @Override
    public void writable() {
      if (fifo.isOpen()) {
        run();
      }
    }
  }

  /** From the process to the client. */
  static final class Output extends Pump {
    Output(Fifo fifo, VsockStream stream) {
      super(fifo, stream);
    }

    @Override
    boolean move() {
      ByteBuffer bytes = buffer();
      if (!bytes.hasRemaining()) {
        int count = stream.read(bytes.clear());
        bytes.flip();
        if (count == 0) {
          await(0);
          return false;
        }
        if (count < 0) {
          end();
          return false;
        }
      }
      int written = fifo.write(bytes);
      if (written == Fifo.NO_READER) {
        // As with runc: the program writes into a pipe that nobody reads.
        end();
        return false;
      }
      if (written == Fifo.WOULD_BLOCK || bytes.hasRemaining()) {
        await(Linux.EPOLLOUT);
        return false;
      }
      return true;
    }

    @Override
    public void readable() {
      run();
    }

    @Override
    public void writable() {}
  }
}
