package io.rund.core.stdio;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.stdio.LogTarget.Owner;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Output into files and into real programs. */
@Timeout(60)
class LogTargetTest {
  private static final Owner OWNER = new Owner("space", "web");

  @TempDir Path directory;
  private EventLoop loop;

  @BeforeEach
  void start() {
    loop = new EventLoop("log-test");
  }

  @AfterEach
  void stop() {
    loop.close();
  }

  private LogTarget open(String path) {
    return LogTarget.of(loop, OWNER, path, false).orElseThrow();
  }

  /** Writes as a pump does, and closes the end. */
  private static void say(Fifo end, String text) {
    try (end) {
      assertEquals(text.length(), write(end, text));
    }
  }

  private static int write(Fifo end, String text) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(text.length()).put(text.getBytes(UTF_8)).flip();
    return end.write(bytes);
  }

  private Path program(String script) throws IOException {
    Path program = Files.writeString(directory.resolve("logger"), "#!/bin/bash\n" + script);
    assertTrue(program.toFile().setExecutable(true));
    return program;
  }

  @Test
  void aFileIsMadeAndAppendedTo() throws Exception {
    Path file = directory.resolve("a/b/web.log");
    for (String text : new String[] {"first ", "second "}) {
      LogTarget target = open("file://" + file);
      say(target.stdout(), text);
      say(target.stderr(), "wrong ");
      target.done().get(30, TimeUnit.SECONDS);
    }
    assertEquals("first wrong second wrong ", Files.readString(file));
  }

  @Test
  void aFifoThatNobodyReadsIsRefusedAtOnceAndASlowReaderIsWaitedFor() throws Exception {
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    RundException e = assertThrows(RundException.class, () -> open("file://" + fifo));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    Process reader =
        new ProcessBuilder("sh", "-c", "exec <\"$0\"; sleep 0.5; wc -c", fifo.toString()).start();
    LogTarget target = openWhenRead(fifo);
    // More than pipes hold.
    ByteBuffer bytes = ByteBuffer.allocateDirect(300_000);
    try (Fifo end = target.stdout()) {
      while (bytes.hasRemaining()) {
        if (end.write(bytes) == 0) {
          Thread.sleep(1);
        }
      }
    }
    target.done().get(30, TimeUnit.SECONDS);
    assertEquals("300000", new String(reader.getInputStream().readAllBytes(), UTF_8).strip());
  }

  private LogTarget openWhenRead(Path fifo) throws InterruptedException {
    while (true) {
      try {
        return open("file://" + fifo);
      } catch (RundException e) {
        Thread.sleep(1);
      }
    }
  }

  @Test
  void aFileThatIsThereNeedsNoScheme() throws Exception {
    Path file = Files.writeString(directory.resolve("log"), "before ");
    LogTarget target = open(file.toString());
    say(target.stdout(), "after");
    target.done().get(30, TimeUnit.SECONDS);
    assertEquals("before after", Files.readString(file));
    assertTrue(
        LogTarget.of(loop, OWNER, directory.resolve("fifo").toString(), false).isEmpty(),
        "what is not there is a FIFO, and refused as one");
  }

  @Test
  void aProgramGetsBothOutputsArgumentsAndWhoseTheyAre() throws Exception {
    Path program =
        program(
            """
            cd "${0%/*}"
            echo "$CONTAINER_NAMESPACE/$CONTAINER_ID $*" >told
            exec 5>&-
            cat <&3 >out
            cat <&4 >err
            """);
    LogTarget target = open("binary://" + program + "?tag=a%20b&id=7&tag=ignored&last");
    assertEquals("space/web tag a b id 7 last \n", Files.readString(directory.resolve("told")));
    Fifo stdout = target.stdout();
    Fifo stderr = target.stderr();
    say(stdout, "output");
    say(stderr, "errors");
    target.done().get(30, TimeUnit.SECONDS);
    assertEquals("output", Files.readString(directory.resolve("out")));
    assertEquals("errors", Files.readString(directory.resolve("err")));
  }

  @Test
  void aProgramThatDoesNotLeaveIsToldTo() throws Exception {
    Path program =
        program(
            """
            trap 'echo ended >"${0%/*}/end"; exit' TERM
            exec 5>&-
            while :; do sleep 0.05; done
            """);
    LogTarget target = open("binary://" + program);
    target.stdout().close();
    target.stderr().close();
    assertFalse(target.done().isDone());
    target.close();
    target.done().get(30, TimeUnit.SECONDS);
    assertEquals("ended\n", Files.readString(directory.resolve("end")));
  }

  @Test
  void aProgramThatHasLeftReadsNoMore() throws Exception {
    LogTarget target = open("binary:///bin/true");
    target.done().get(30, TimeUnit.SECONDS);
    try (Fifo stdout = target.stdout()) {
      assertEquals(Fifo.NO_READER, write(stdout, "too late"));
    }
    target.close();
  }

  @Test
  void whatCannotBeServedIsRefusedByName() {
    for (String path :
        new String[] {
          "stream+tcp:///x", "file://relative/x", "binary:///no/such/logger", "file://"
        }) {
      RundException e = assertThrows(RundException.class, () -> open(path));
      assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
      String name = path.substring(path.indexOf("://") + 3);
      assertTrue(e.getMessage().contains(name), e.getMessage());
    }
  }
}
