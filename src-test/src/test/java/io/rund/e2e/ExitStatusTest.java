package io.rund.e2e;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Exit statuses travel. */
@E2e
@Tag("containerd")
@Tag("disks")
class ExitStatusTest {
  @Test
  void zeroSevenAndKilled() {
    Lab.script(
            Duration.ofMinutes(3),
            """
            sandbox $image "$1-0" probe exit 0; say zero $?
            sandbox $image "$1-7" sh -c 'exit 7'; say seven $?
            sandbox $image "$1-kill" probe sleep >/dev/null & running=$!
            until_true 60 task_is "$1-kill" RUNNING
            ctr task kill -s KILL "$1-kill"
            wait $running; say killed $?
            """,
            Lab.id("exit"))
        .expect("zero", "0")
        .expect("seven", "7")
        .expect("killed", "137");
  }

  @Test
  void aTaskThatIsWaitedForLaterStillHasItsStatus() {
    Lab.script(
            Duration.ofMinutes(2),
            """
            launch $image "$1" probe exit 9 || exit
            until_true 60 task_is "$1" STOPPED
            say status "$(ctr task rm "$1" 2>&1)"
            ctr container rm "$1"
            """,
            Lab.id("exit"))
        .expectWords("status", "exit code 9");
  }
}
