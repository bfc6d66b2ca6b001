package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Standard streams carry what they are given, whole and unchanged. */
@E2e
@Tag("containerd")
class StandardStreamsTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(6);

  @Test
  void sixtyFourMebibytesGoInAndComeOutUnchanged() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            bytes=$((64 << 20))
            say sent "$("$PROBE" emit $bytes | "$PROBE" hash)"
            say received "$("$PROBE" emit $bytes | sandbox $image "$1" probe echo | "$PROBE" hash)"
            """,
            Lab.id("stream"));
    assertEquals(result.value("sent"), result.value("received"), result::toString);
  }

  @Test
  void outputAndErrorsStayApart() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            say wanted_out "$("$PROBE" emit 1000003 1 | "$PROBE" hash)"
            say wanted_err "$("$PROBE" emit 1000005 2 | "$PROBE" hash)"
            sandbox $image "$1" sh -c 'probe emit 1000003 1 1 & probe emit 1000005 2 2; wait' >$work/out 2>$work/err
            say out "$("$PROBE" hash <$work/out)"
            say err "$("$PROBE" hash <$work/err)"
            """,
            Lab.id("stream"));
    assertEquals(result.value("wanted_out"), result.value("out"), result::toString);
    assertEquals(result.value("wanted_err"), result.value("err"), result::toString);
  }

  @Test
  void endOfInputReachesTheProgram() {
    Lab.script(
            TIMEOUT,
            """
            # ctr 1.6 forgets an end of input that comes before the task has started.
            say empty "$(until_true 60 task_is "$1-empty" RUNNING | sandbox $image "$1-empty" probe hash)"
            say short "$({ until_true 60 task_is "$1-short" RUNNING; printf abc; } | sandbox $image "$1-short" wc -c)"
            """,
            Lab.id("stream"))
        .expect("empty", "0000000000000001 0")
        .expect("short", "3");
  }
}
