package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The rest of what containerd can ask of a task. */
@E2e
@Tag("containerd")
class TaskOperationsTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  @Test
  void aPausedContainerDoesNothingUntilItIsResumed() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            sandbox $image "$1" sh -c 'i=0; while :; do i=$((i + 1)); echo $i; sleep 0.1; done' >$work/count &
            until_true 60 grep -qx 3 $work/count
            ctr task pause "$1" || exit
            until_true 5 task_is "$1" PAUSED; say paused $?
            sleep 1; first=$(tail -n 1 $work/count)
            sleep 3; second=$(tail -n 1 $work/count)
            ctr task resume "$1" || exit
            until_true 60 grep -qx $((second + 3)) $work/count; say counts_on $?
            ctr task kill -s KILL "$1"; wait
            say first $first
            say second $second
            """,
            Lab.id("pause"));
    result.expectExit(0).expect("paused", "0").expect("counts_on", "0");
    assertTrue(result.number("first") == result.number("second"), result::toString);
  }

  @Test
  void metricsAndProcessesAreTheContainers() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            launch --memory-limit $((100 << 20)) $image "$1" probe sleep || exit
            ctr task metrics "$1" >$work/metrics; say metrics $?
            tr -s ' ' <$work/metrics | sed 's/^/line=/'
            say processes "$(ctr task ps "$1" | tail -n +2 | wc -l)"
            say pid "$(ctr task ls | awk -v id="$1" '$1 == id { print $2 }')"
            say listed "$(ctr task ps "$1" | awk 'NR == 2 { print $1 }')"
            rund list --json >$work/list 2>&1; say list $?
            discard "$1"
            """,
            Lab.id("metrics"));
    result.expect("metrics", "0").expect("processes", "1").expect("list", "0");
    result.expect("listed", result.value("pid"));
    assertTrue(
        result.values("line").stream()
            .anyMatch(
                line ->
                    line.startsWith("memory.usage_in_bytes") || line.startsWith("memory.usage")),
        result::toString);
  }
}
