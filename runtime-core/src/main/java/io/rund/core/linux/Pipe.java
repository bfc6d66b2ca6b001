package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Both ends of a close-on-exec pipe; each is its own {@link Fd} and may be closed alone. */
public record Pipe(Fd readEnd, Fd writeEnd) {
  private static final int CHUNK = 4096;

  public static Pipe open() {
    int[] fds = new int[2];
    Libc.pipe2(fds, Linux.O_CLOEXEC);
    return new Pipe(new Fd(fds[0]), new Fd(fds[1]));
  }

  /** Several; if one of them cannot be made, none stays open. */
  public static List<Pipe> open(int count) {
    List<Pipe> pipes = new ArrayList<>();
    try {
      while (pipes.size() < count) {
        pipes.add(open());
      }
      return pipes;
    } catch (LastErrorException e) {
      pipes.forEach(Pipe::close);
      throw e;
    }
  }

  /** Closes both ends. */
  public void close() {
    readEnd.close();
    writeEnd.close();
  }

  /**
   * Reads on {@code loop} until every write end is closed, then closes the read end and completes
   * on the loop's thread. What exceeds {@code limit} bytes is dropped.
   */
  public CompletableFuture<String> readToEnd(EventLoop loop, int limit) {
    CompletableFuture<String> end = new CompletableFuture<>();
    StringBuilder text = new StringBuilder();
    EventLoop.Registration[] registration = new EventLoop.Registration[1];
    EventLoop.Handler handler =
        events -> {
          try (Memory buffer = new Memory(CHUNK)) {
            long count = Libc.Try.read(readEnd.number(), Pointer.nativeValue(buffer), CHUNK);
            if (count > 0) {
              int kept = (int) Math.min(count, limit - text.length());
              text.append(new String(buffer.getByteArray(0, kept), StandardCharsets.ISO_8859_1));
            } else if (count == 0 || Native.getLastError() != Linux.EINTR) {
              registration[0].close();
              readEnd.close();
              end.complete(text.toString());
            }
          }
        };
    loop.execute(() -> registration[0] = loop.register(readEnd.number(), Linux.EPOLLIN, handler));
    return end;
  }
}
