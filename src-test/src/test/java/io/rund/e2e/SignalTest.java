package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Signals reach the process that they are for. */
@E2e
@Tag("containerd")
class SignalTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(4);

  @Test
  void toTheInitAndToAnExec() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            sandbox $image "$1" probe sleep >$work/init & init=$!
            until_true 60 grep -q ready $work/init
            ctr task exec --exec-id x "$1" probe sleep >$work/exec & exec=$!
            until_true 60 grep -q ready $work/exec
            ctr task kill -s USR1 "$1"
            until_true 60 grep -q 'signal 10' $work/init
            ctr task kill -s USR2 --exec-id x "$1"
            until_true 60 grep -q 'signal 12' $work/exec
            ctr task kill -s TERM --exec-id x "$1"; wait $exec; say exec_status $?
            ctr task kill -s TERM "$1"; wait $init; say init_status $?
            sed 's/^/init=/' $work/init
            sed 's/^/exec=/' $work/exec
            """,
            Lab.id("signal"));
    assertEquals(
        List.of("ready", "signal 10", "signal 15"), result.values("init"), result::toString);
    assertEquals(
        List.of("ready", "signal 12", "signal 15"), result.values("exec"), result::toString);
    result.expect("exec_status", "42").expect("init_status", "42");
  }

  @Test
  void toSomethingThatIsGoneIsNotFound() {
    Lab.script(
            TIMEOUT,
            """
            launch $image "$1" probe sleep || exit
            ctr task exec --exec-id gone "$1" true
            ctr task kill --exec-id gone "$1" 2>$work/exec; say exec_failed $(($? != 0))
            ctr task kill -s KILL "$1"
            until_true 60 task_is "$1" STOPPED
            ctr task kill "$1" 2>$work/stopped; say stopped_failed $(($? != 0))
            ctr task rm "$1" >/dev/null 2>&1
            ctr task kill "$1" 2>$work/removed; say removed_failed $(($? != 0))
            ctr container rm "$1"
            for what in exec stopped removed; do say $what "$(tr '\\n' ' ' <$work/$what)"; done
            """,
            Lab.id("signal"))
        .expect("exec_failed", "1")
        .expectWords("exec", "no exec gone")
        .expect("stopped_failed", "1")
        .expectWords("stopped", "already finished")
        .expect("removed_failed", "1")
        .expectWords("removed", "not found");
  }
}
