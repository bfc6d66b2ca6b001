package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Real connections to a real listener; the guest sends back what it gets, after its end. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class PortForwardTest {
  private static final int AF_INET = 2;
  private static final int SOCK_STREAM = 1;
  private static final int VSOCK_PORT = 77;

  private final EventLoop loop = new EventLoop("test");
  private final FakeSandbox sandbox = new FakeSandbox(loop);
  private Fd listener;
  private int port;
  private PortForward forward;

  @BeforeEach
  void listen() {
    int type = SOCK_STREAM | Linux.O_CLOEXEC | Linux.O_NONBLOCK;
    listener = new Fd(Libc.socket(AF_INET, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(16, 4);
      MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, 16);
      address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_INET);
      Libc.bind(listener.number(), address.address(), 16);
      Libc.listen(listener.number(), 8);
      Libc.getsockname(listener.number(), address.address(), size.address());
      port = Short.toUnsignedInt(Short.reverseBytes(address.get(ValueLayout.JAVA_SHORT, 2)));
    }
    forward = new PortForward("s", listener, sandbox, sandbox, () -> VSOCK_PORT);
  }

  @AfterEach
  void close() {
    forward.close();
    listener.close();
    loop.close();
  }

  private Socket connect() throws Exception {
    return new Socket(InetAddress.getLoopbackAddress(), port);
  }

  @Test
  void bytesGoBothWaysAndEachDirectionEndsByItself() throws Exception {
    Echo echo = new Echo(loop);
    sandbox.onForward = (wanted, vsockPort) -> sandbox.accept(vsockPort, echo);
    byte[] sent = new byte[300_001];
    new Random(3).nextBytes(sent);
    try (Socket client = connect()) {
      client.getOutputStream().write(sent);
      client.shutdownOutput();
      assertArrayEquals(sent, client.getInputStream().readAllBytes());
    }
    echo.closed.get(20, TimeUnit.SECONDS);
    assertEquals(port + " " + VSOCK_PORT, sandbox.forwarded);
  }

  @Test
  void aPortThatNobodyListensToEndsTheConnection() throws Exception {
    sandbox.onForward =
        (wanted, vsockPort) -> {
          throw RundException.internal("connection refused", null);
        };
    for (int i = 0; i < 100; i++) {
      try (Socket client = connect()) {
        assertEquals(-1, client.getInputStream().read());
      }
    }
  }

  /** As the kernel does by itself when it finds that nobody answers any more. */
  @Test
  void aClientThatHasEndedAndThenIsGoneTakesTheConnectionAlong() throws Exception {
    Echo silent = new Echo(loop);
    silent.answers = false;
    sandbox.onForward = (wanted, vsockPort) -> sandbox.accept(vsockPort, silent);
    try (Socket client = connect()) {
      client.getOutputStream().write(1);
      client.shutdownOutput();
      silent.ended.get(20, TimeUnit.SECONDS);
      assertFalse(silent.closed.isDone());
      client.setSoLinger(true, 0);
    }
    silent.closed.get(20, TimeUnit.SECONDS);
  }

  @Test
  void aGuestThatGoesTakesTheConnectionAlong() throws Exception {
    Echo echo = new Echo(loop);
    sandbox.onForward = (wanted, vsockPort) -> sandbox.accept(vsockPort, echo);
    try (Socket client = connect()) {
      client.getOutputStream().write(1);
      echo.wrote.get(20, TimeUnit.SECONDS);
      loop.execute(() -> echo.handler.closed());
      assertEquals(-1, client.getInputStream().read());
    }
  }

  @Test
  void aHostThatCannotAcceptDoesNotSpinTheLoop() throws Exception {
    // Always readable and no socket: every accept fails.
    try (Fd broken = Fd.eventFd();
        Arena arena = Arena.ofConfined()) {
      Libc.Try.write(broken.number(), arena.allocateFrom(ValueLayout.JAVA_LONG, 1).address(), 8);
      PortForward failing = new PortForward("s", broken, sandbox, sandbox, () -> VSOCK_PORT);
      long began = loopCpuNanos();
      Thread.sleep(500);
      long used = loopCpuNanos() - began;
      failing.close();
      assertTrue(used < 100_000_000, () -> used + " ns of CPU time");
    }
  }

  private long loopCpuNanos() {
    return CompletableFuture.supplyAsync(
            ManagementFactory.getThreadMXBean()::getCurrentThreadCpuTime, loop)
        .join();
  }

  @Test
  void afterTheEndNobodyIsAccepted() throws Exception {
    forward.close();
    forward.close();
    try (Socket client = connect()) {
      client.setSoTimeout(200);
      assertFalse(sandbox.forwarded.contains(" "));
      assertTrue(client.isConnected());
    }
  }

  /** Takes a few bytes at a time, and sends them all back when there are no more. */
  private static final class Echo implements VsockStream {
    private final EventLoop loop;
    private final ByteArrayOutputStream received = new ByteArrayOutputStream();
    private ByteBuffer answer;
    private boolean refused;
    final CompletableFuture<Void> closed = new CompletableFuture<>();
    final CompletableFuture<Void> wrote = new CompletableFuture<>();
    final CompletableFuture<Void> ended = new CompletableFuture<>();
    boolean answers = true;
    Handler handler;

    Echo(EventLoop loop) {
      this.loop = loop;
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
      if (answer == null) {
        return 0;
      }
      if (!answer.hasRemaining()) {
        return -1;
      }
      int count = Math.min(dst.remaining(), Math.min(answer.remaining(), 7000));
      dst.put(answer.slice(answer.position(), count));
      answer.position(answer.position() + count);
      return count;
    }

    @Override
    public int write(ByteBuffer src) {
      refused = !refused;
      if (refused) {
        loop.execute(() -> handler.writable());
        return 0;
      }
      int count = Math.min(src.remaining(), 5000);
      byte[] bytes = new byte[count];
      src.get(bytes);
      received.writeBytes(bytes);
      wrote.complete(null);
      if (src.hasRemaining()) {
        loop.execute(() -> handler.writable());
      }
      return count;
    }

    @Override
    public void shutdownOutput() {
      ended.complete(null);
      if (answers) {
        answer = ByteBuffer.wrap(received.toByteArray());
        loop.execute(() -> handler.readable());
      }
    }

    @Override
    public void close() {
      closed.complete(null);
    }
  }
}
