package io.rund.kvm.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class IdentityTest {
  private static final String CAP_EFFECTIVE = "CapEff:";

  /** CAP_FSETID of include/uapi/linux/capability.h. */
  private static final long CAP_FSETID = 1 << 4;

  private static long mayKeepSetIds() {
    try {
      String line =
          Files.readAllLines(Path.of("/proc/thread-self/status")).stream()
              .filter(each -> each.startsWith(CAP_EFFECTIVE))
              .findFirst()
              .orElseThrow();
      return Long.parseUnsignedLong(line.substring(CAP_EFFECTIVE.length()).strip(), 16)
          & CAP_FSETID;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Capabilities are a thread's own, and go over to the threads that it starts. */
  @Test
  void aThreadThatIsStartedByOneThatMustNotKeepSetIdsMayKeepThem() {
    CompletableFuture<Long> seen = new CompletableFuture<>();
    Thread.ofPlatform()
        .start(
            () -> {
              Identity first = Identity.ofThread();
              first.keepSetIds(false);
              assertEquals(0, mayKeepSetIds());
              Thread.ofPlatform()
                  .start(
                      () -> {
                        Identity _ = Identity.ofThread();
                        seen.complete(mayKeepSetIds());
                      });
            });
    assertEquals(CAP_FSETID, seen.join());
  }
}
