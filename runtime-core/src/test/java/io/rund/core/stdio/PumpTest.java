package io.rund.core.stdio;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Pumps between real FIFOs and a stream of the test's own. */
@Timeout(60)
class PumpTest {
  @TempDir Path directory;
  private EventLoop loop;
  private Path path;

  @BeforeEach
  void makeFifo() throws Exception {
    loop = new EventLoop("pump-test");
    path = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", path.toString()).start().waitFor());
  }

  @AfterEach
  void stop() {
    loop.close();
  }

  private <T> T onLoop(Callable<T> call) throws Exception {
    CompletableFuture<T> result = new CompletableFuture<>();
    loop.execute(
        () -> {
          try {
            result.complete(call.call());
          } catch (Exception e) {
            result.completeExceptionally(e);
          }
        });
    return result.get(30, TimeUnit.SECONDS);
  }

  private static byte[] random(int size) {
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    return bytes;
  }

  @Test
  void outputReachesAReaderUnchangedAndEnds() throws Exception {
    byte[] sent = random(1_000_003);
    MemoryStream stream = new MemoryStream(loop, ByteBuffer.wrap(sent), 0);
    Pump pump = startOutput(stream);
    try (InputStream in = Files.newInputStream(path)) {
      assertArrayEquals(sent, in.readAllBytes());
    }
    pump.done().get(30, TimeUnit.SECONDS);
    assertTrue(stream.isClosed());
  }

  @Test
  void outputWithoutAReaderStopsTheGuestAndStaysForALateOne() throws Exception {
    byte[] sent = random(300_000);
    MemoryStream stream = new MemoryStream(loop, ByteBuffer.wrap(sent), 0);
    Pump pump = startOutput(stream);
    assertThrows(TimeoutException.class, () -> pump.done().get(200, TimeUnit.MILLISECONDS));
    assertTrue(onLoop(stream::unread) > 0, "a pipe and a buffer are all that is taken");
    try (InputStream in = Files.newInputStream(path)) {
      assertArrayEquals(sent, in.readAllBytes());
    }
  }

  @Test
  void inputReachesTheGuestUnchangedThroughASlowCredit() throws Exception {
    byte[] sent = random(500_009);
    MemoryStream stream = new MemoryStream(loop, ByteBuffer.allocate(0), 1000);
    Fifo fifo = Fifo.input(path.toString());
    onLoop(() -> new Pump.Input(fifo, stream));
    try (OutputStream out = Files.newOutputStream(path)) {
      out.write(sent);
    }
    assertFalse(stream.outputEnded().isDone(), "a client that leaves is not the end of the input");
    fifo.endWhenWritersLeave();
    stream.outputEnded().get(30, TimeUnit.SECONDS);
    assertArrayEquals(sent, stream.written());
  }

  @Test
  void aStreamThatEndsTakesItsPumpAlong() throws Exception {
    MemoryStream stream = new MemoryStream(loop, ByteBuffer.allocate(0), 1000);
    Fifo fifo = Fifo.input(path.toString());
    Pump pump = onLoop(() -> new Pump.Input(fifo, stream));
    loop.execute(pump::closed);
    pump.done().get(30, TimeUnit.SECONDS);
    assertFalse(fifo.isOpen());
  }

  @Test
  void whatIsNoFifoIsRefusedByName() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    RundException e = assertThrows(RundException.class, () -> Fifo.output(file.toString()));
    assertTrue(e.getMessage().contains(file + " is not a FIFO"), e.getMessage());
    assertThrows(RundException.class, () -> Fifo.input(directory.resolve("none").toString()));
  }

  private Pump startOutput(MemoryStream stream) throws Exception {
    Fifo fifo = Fifo.output(path.toString());
    return onLoop(
        () -> {
          Pump pump = new Pump.Output(fifo, stream);
          pump.run();
          return pump;
        });
  }

  /**
   * A vsock stream whose guest has said all it will say, and takes a bounded number of bytes at a
   * time.
   */
  private static final class MemoryStream implements io.rund.core.hypervisor.VsockStream {
    private final EventLoop loop;
    private final ByteBuffer incoming;
    private final int credit;
    private final ByteArrayOutputStream written = new ByteArrayOutputStream();
    private final CompletableFuture<Void> outputEnded = new CompletableFuture<>();
    private Handler handler;
    private boolean refused;
    private volatile boolean closed;

    MemoryStream(EventLoop loop, ByteBuffer incoming, int credit) {
      this.loop = loop;
      this.incoming = incoming;
      this.credit = credit;
    }

    int unread() {
      return incoming.remaining();
    }

    boolean isClosed() {
      return closed;
    }

    CompletableFuture<Void> outputEnded() {
      return outputEnded;
    }

    byte[] written() {
      return written.toByteArray();
    }

    @Override
    public void handler(Handler handler) {
      this.handler = handler;
    }

    @Override
    public EventLoop loop() {
      return loop;
    }

    @Override
    public int read(ByteBuffer dst) {
      if (!incoming.hasRemaining()) {
        return -1;
      }
      int count = Math.min(incoming.remaining(), dst.remaining());
      dst.put(incoming.slice(incoming.position(), count));
      incoming.position(incoming.position() + count);
      return count;
    }

    @Override
    public int write(ByteBuffer src) {
      // Every other call finds no credit, and is told later that there is some.
      refused = !refused;
      if (refused) {
        loop.execute(() -> handler.writable());
        return 0;
      }
      int count = Math.min(credit, src.remaining());
      byte[] taken = new byte[count];
      src.get(taken);
      written.writeBytes(taken);
      if (src.hasRemaining()) {
        loop.execute(() -> handler.writable());
      }
      return count;
    }

    @Override
    public void shutdownOutput() {
      outputEnded.complete(null);
    }

    @Override
    public void close() {
      closed = true;
    }
  }
}
