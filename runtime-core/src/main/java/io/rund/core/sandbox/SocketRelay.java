package io.rund.core.sandbox;

import com.sun.jna.Native;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Interest;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Copies between a connected socket of the host and a vsock stream, both ways, on the VM's event
 * loop. The end of one direction is passed on, and the other goes on. One buffer for each: whoever
 * does not take his bytes stops the other end and nobody else.
 */
final class SocketRelay implements VsockStream.Handler, EventLoop.Handler {
  private static final int BUFFER_SIZE = 32 * 1024;
  private static final int SHUT_WR = 1;

  /** Buffers moved in one direction before the loop's other handlers have their turn. */
  private static final int BUDGET = 8;

  private final Fd socket;
  private final VsockStream stream;
  private final Runnable ended;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment toGuestMemory = arena.allocate(BUFFER_SIZE);
  private final MemorySegment toHostMemory = arena.allocate(BUFFER_SIZE);

  /** Ready to be drained: what lies between position and limit is on its way. */
  private final ByteBuffer toGuest = toGuestMemory.asByteBuffer().limit(0);

  private final ByteBuffer toHost = toHostMemory.asByteBuffer().limit(0);
  private boolean toGuestEnded;
  private boolean toHostEnded;
  private boolean over;
  private final Interest interest;

  /**
   * In the accept callback of the stream.
   *
   * @param socket non-blocking; the relay's from now on
   * @param ended called once, on the loop
   */
  SocketRelay(Fd socket, VsockStream stream, Runnable ended) {
    this.socket = socket;
    this.stream = stream;
    this.ended = ended;
    this.interest = new Interest(stream.loop(), socket.number(), this);
    stream.handler(this);
    stream.loop().execute(this::move);
  }

  private void move() {
    boolean again = moveToGuest();
    again |= moveToHost();
    if (over) {
      return;
    }
    if (toGuestEnded && toHostEnded) {
      end();
      return;
    }
    interest.await(interest());
    if (again) {
      stream.loop().execute(this::move);
    }
  }

  private int interest() {
    if (toGuestEnded && !toHost.hasRemaining()) {
      // Of a client that has sent its last, the errors alone: that it is gone altogether.
      return Linux.EPOLLERR;
    }
    return (toGuestEnded || toGuest.hasRemaining() ? 0 : Linux.EPOLLIN)
        | (toHost.hasRemaining() ? Linux.EPOLLOUT : 0);
  }

  /** True if it stopped for the bound. */
  private boolean moveToGuest() {
    for (int i = 0; i < BUDGET; i++) {
      if (over || toGuestEnded) {
        return false;
      }
      if (!toGuest.hasRemaining()) {
        long count = Libc.Try.read(socket.number(), toGuestMemory.address(), BUFFER_SIZE);
        if (count < 0) {
          endUnlessBlocked();
          return false;
        }
        if (count == 0) {
          toGuestEnded = true;
          stream.shutdownOutput();
          return false;
        }
        toGuest.position(0).limit((int) count);
      }
      stream.write(toGuest);
      if (toGuest.hasRemaining()) {
        return false;
      }
    }
    return true;
  }

  /** True if it stopped for the bound. */
  private boolean moveToHost() {
    for (int i = 0; i < BUDGET; i++) {
      if (over || toHostEnded) {
        return false;
      }
      if (!toHost.hasRemaining()) {
        int count = stream.read(toHost.clear());
        toHost.flip();
        if (count == 0) {
          return false;
        }
        if (count < 0) {
          toHostEnded = true;
          Libc.Try.shutdown(socket.number(), SHUT_WR);
          return false;
        }
      }
      long address = toHostMemory.address() + toHost.position();
      long written = Libc.Try.write(socket.number(), address, toHost.remaining());
      if (written < 0) {
        endUnlessBlocked();
        return false;
      }
      toHost.position(toHost.position() + (int) written);
    }
    return true;
  }

  private void endUnlessBlocked() {
    int error = Native.getLastError();
    if (error != Linux.EAGAIN && error != Linux.EINTR) {
      end();
    }
  }

  @Override
  public void ready(int events) {
    if ((events & Linux.EPOLLERR) != 0) {
      end();
    } else {
      move();
    }
  }

  @Override
  public void failed(Throwable cause) {
    interest.lost();
    end();
  }

  @Override
  public void readable() {
    move();
  }

  @Override
  public void writable() {
    move();
  }

  @Override
  public void closed() {
    end();
  }

  private void end() {
    if (over) {
      return;
    }
    over = true;
    interest.await(0);
    socket.close();
    stream.close();
    arena.close();
    ended.run();
  }
}
