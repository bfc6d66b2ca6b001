package io.rund.shim;

import io.rund.core.linux.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The pipe to the launcher: "ready\n", or the reason why the engine cannot start. Said once. */
final class Readiness {
  private final int fd;

  /** {@code fd} is the pipe's write end, -1 if nobody listens. */
  Readiness(int fd) {
    this.fd = fd;
  }

  void ready() {
    say("ready\n");
  }

  void failed(String reason) {
    System.err.println(reason);
    say(reason);
  }

  /** Closes the pipe too: processes that the engine starts must not inherit it. */
  private void say(String text) {
    if (fd < 0) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocateFrom(text);
      // A launcher that has given up is no reason to end.
      var _ = Libc.Try.write(fd, bytes.address(), bytes.byteSize() - 1);
    }
    Libc.close(fd);
  }
}
