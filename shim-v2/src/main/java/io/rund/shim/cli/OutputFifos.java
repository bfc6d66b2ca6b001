package io.rund.shim.cli;

import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Two FIFOs in a folder of their own, and threads that copy what comes out of them. */
final class OutputFifos implements AutoCloseable {
  private static final int MODE = 0600;

  private final Path folder = Files.createTempDirectory("rund-exec");
  private final List<Thread> copiers = new ArrayList<>();

  /** Writers of our own, so that there is an end only when the engine has had its say. */
  private final List<Fd> keepers = new ArrayList<>();

  /** What comes goes to this process's output and error. */
  OutputFifos() throws IOException {
    copy(stdout(), System.out);
    copy(stderr(), System.err);
  }

  Path stdout() {
    return folder.resolve("stdout");
  }

  Path stderr() {
    return folder.resolve("stderr");
  }

  private void copy(Path fifo, PrintStream to) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      long path = arena.allocateFrom(fifo.toString()).address();
      int result =
          FileCalls.result(FileCalls.mknodat(Linux.AT_FDCWD, path, Linux.S_IFIFO | MODE, 0));
      if (result < 0) {
        throw new IOException("mkfifo %s: errno %d".formatted(fifo, -result));
      }
    }
    keepers.add(Fd.open(fifo.toString(), Linux.O_RDWR));
    // Here, while there is a writer: later it would wait for one.
    InputStream from = Files.newInputStream(fifo);
    copiers.add(Thread.ofPlatform().daemon().start(() -> copy(from, to)));
  }

  private static void copy(InputStream from, PrintStream to) {
    try (from) {
      var _ = from.transferTo(to);
      to.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The engine has closed them: waits until all has come out that was written. */
  void awaitEnd() throws InterruptedException {
    keepers.forEach(Fd::close);
    for (Thread copier : copiers) {
      copier.join();
    }
  }

  @Override
  public void close() throws IOException {
    keepers.forEach(Fd::close);
    Files.deleteIfExists(stdout());
    Files.deleteIfExists(stderr());
    Files.delete(folder);
  }
}
