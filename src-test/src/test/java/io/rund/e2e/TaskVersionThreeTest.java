package io.rund.e2e;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * containerd 2 speaks the third version of the Task API to a shim that says so. By itself rund does
 * not, since what containerd asks a shim for at its start is the second.
 */
@E2e
@Tag("containerd")
class TaskVersionThreeTest {
  @Test
  void aTasksLifeOverTheThirdVersion() {
    assumeTrue(
        System.getenv().getOrDefault("RUND_CONTAINERD", "").equals("2"),
        "containerd 1 knows no third version");
    Result result =
        Lab.script(
            Duration.ofMinutes(5),
            """
            variant
            sed -i 's/^RUND_CONFIG/MAX_SHIM_VERSION=3 &/' "$runtime"
            launch $image "$1" probe sleep || exit
            say exec "$(ctr task exec --exec-id x "$1" echo alive)"
            ctr task pause "$1"; task_is "$1" PAUSED; say paused $?
            ctr task resume "$1"
            kill_containerd; start_containerd
            task_is "$1" RUNNING; say found_again $?
            ctr task kill -s KILL "$1"; until_true 60 task_is "$1" STOPPED; say stopped $?
            grep -q containerd.task.v3.Task/Create $work/variant/*/engine.log; say version $?
            discard "$1"
            variant_end
            """,
            Lab.id("three"));
    result.expect("exec", "alive").expect("paused", "0").expect("found_again", "0");
    result.expect("stopped", "0").expect("version", "0").expect("engine_left", "0");
  }
}
