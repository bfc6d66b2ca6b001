package io.rund.e2e;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What dies without warning takes nothing else along and leaves nothing. */
@E2e
@Tag("disks")
class SuddenDeathTest {
  @Test
  void aKilledEngineEndsItsTasksAndTheNextRunWorks() {
    Lab.script(
            Duration.ofMinutes(8),
            """
            for i in 1 2 3 4 5; do launch $image "$1-$i" probe sleep & done; wait
            say running "$(ctr task ls | grep -c RUNNING)"
            engine=$(engines); kill -KILL $engine
            none_runs() { ! ctr task ls | grep -q RUNNING; }
            until_true 60 none_runs; say seen $?
            discard "$1-1" "$1-2" "$1-3" "$1-4" "$1-5"
            say next "$(sandbox $image "$1-next" echo works)"
            say engines "$(engines | wc -l)"
            """,
            Lab.id("engine"))
        .expect("running", "5")
        .expect("seen", "0")
        .expect("next", "works")
        .expect("engines", "1");
  }

  /** A kernel that panics and does not reset its machine does nothing any more, for ever. */
  @Test
  void aGuestThatHangsCanBeKilled() {
    Lab.script(
            Duration.ofMinutes(6),
            """
            launch $image "$1-b" probe sleep || exit
            launch --mount type=proc,src=proc,dst=/own,options=rw $image "$1-a" sh -c '
              echo 0 >/own/sys/kernel/panic; echo 1 >/own/sys/vm/panic_on_oom; exec tail /dev/zero' || exit
            hangs() { ! timeout 10 ctr task metrics "$1-a" >&2; }
            until_true 100 hangs "$1"; say hangs $?
            task_is "$1-a" RUNNING; say runs $?
            ctr task kill -s KILL "$1-a"; say kill $?
            until_true 60 task_is "$1-a" STOPPED; say stopped $?
            say given_up "$(cat /run/rund/*/engine.log | grep -c "$1-a cannot be killed")"
            say other "$(ctr task exec --exec-id x "$1-b" echo alive)"
            say status "$(ctr task rm "$1-a" 2>&1)"
            ctr container rm "$1-a"
            discard "$1-b"
            """,
            Lab.id("hang"))
        .expect("given_up", "1")
        .expect("hangs", "0")
        .expect("runs", "0")
        .expect("kill", "0")
        .expect("stopped", "0")
        .expect("other", "alive")
        .expectWords("status", "exit code 137");
  }

  @Test
  void aKilledAnchorEndsItsSandboxAlone() {
    Lab.script(
            Duration.ofMinutes(4),
            """
            launch $image "$1-a" probe sleep || exit
            launch $image "$1-b" probe sleep || exit
            kill -KILL "$(ctr task ls | awk -v id="$1-a" '$1 == id { print $2 }')"
            until_true 60 task_is "$1-a" STOPPED; say stopped $?
            say other "$(ctr task exec --exec-id x "$1-b" echo alive)"
            say status "$(ctr task rm "$1-a" 2>&1)"
            ctr container rm "$1-a"
            discard "$1-b"
            """,
            Lab.id("anchor"))
        .expect("stopped", "0")
        .expect("other", "alive")
        .expectWords("status", "exit code 137");
  }
}
