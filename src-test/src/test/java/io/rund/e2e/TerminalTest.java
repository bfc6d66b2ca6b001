package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A terminal is one, and takes the size of the user's. */
@E2e
@Tag("containerd")
class TerminalTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(4);

  @Test
  void aTerminalWorksAndResizes() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            cat >$work/session <<END
            stty rows 30 cols 90
            ctr run --rm -t --snapshotter $snapshotter --runtime $runtime $image $1 probe tty &
            session=\\$!
            for i in \\$(seq 200); do grep -q 'size 30 90' $work/screen && break; sleep 0.3; done
            stty rows 41 cols 103
            for i in \\$(seq 200); do grep -q 'size 41 103' $work/screen && break; sleep 0.3; done
            ctr task kill -s TERM $1
            wait \\$session
            END
            # Non-interactive, so ctr stays in the foreground process group, which gets SIGWINCH.
            script -q -f -e -c "sh $work/session" $work/screen </dev/null >/dev/null; say status $?
            plain <$work/screen | sed 's/^/screen=/'
            """,
            Lab.id("terminal"));
    result.expect("status", "0");
    List<String> screen = result.values("screen");
    assertTrue(screen.contains("tty 1 1 1"), result::toString);
    assertTrue(screen.contains("size 30 90"), result::toString);
    assertTrue(screen.contains("size 41 103"), result::toString);
  }

  @Test
  void whatIsTypedArrives() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            ended() { ! task_is "$1" RUNNING; }
            { until_true 60 task_is "$1" RUNNING; printf 'echo sum $((40 + 2)); tty; exit 5\\n'; until_true 60 ended "$1"; } |
              script -q -f -e -c "ctr run --rm -t --snapshotter $snapshotter --runtime $runtime $image $1 sh" $work/screen >/dev/null
            say status ${PIPESTATUS[1]}
            plain <$work/screen | sed 's/^/screen=/'
            """,
            Lab.id("terminal"));
    List<String> screen = result.values("screen");
    assertTrue(screen.contains("sum 42"), result::toString);
    assertTrue(screen.contains("/dev/pts/0") || screen.contains("/dev/console"), result::toString);
    result.expect("status", "5");
  }
}
