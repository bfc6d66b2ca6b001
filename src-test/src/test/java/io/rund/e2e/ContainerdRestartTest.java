package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** containerd may die; sandboxes do not. */
@E2e
@Tag("containerd")
class ContainerdRestartTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(8);

  @Test
  void tasksAreFoundAgainWithTheirOutputAndTheirExits() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            mkdir $work/go
            count='i=0; while :; do i=$((i + 1)); echo $i; sleep 0.1; done'
            exits='until [ -e /go/now ]; do sleep 0.1; done; exit 7'
            run() { ctr run -d --snapshotter "$snapshotter" --runtime "$runtime" "$@"; }
            run --log-uri file://$work/count $image "$1-counts" sh -c "$count" || exit
            run --null-io --mount type=bind,src=$work/go,dst=/go,options=rbind:ro $image "$1-exits" sh -c "$exits" || exit
            launch $image "$1-dies" probe sleep || exit
            launch $image "$1-stays" probe sleep || exit
            pids() { ctr task ls | awk -v id="$1" 'index($1, id) == 1 { print $1, $2 }' | sort | tr '\\n' ' '; }
            before=$(pids "$1"); say before "$before"
            kill_containerd
            touch $work/go/now
            kill -KILL "$(awk -v id="$1-dies" '{ for (i = 1; i < NF; i++) if ($i == id) print $(i + 1) }' <<<"$before")"
            first=$(tail -n 1 $work/count); sleep 4; say written_meanwhile $(($(tail -n 1 $work/count) > first))
            start_containerd; say back $?
            say after "$(pids "$1")"
            until_true 60 task_is "$1-exits" STOPPED; say exits_seen $?
            until_true 60 task_is "$1-dies" STOPPED; say dies_seen $?
            say exits "$(ctr task rm "$1-exits" 2>&1)"
            say dies "$(ctr task rm "$1-dies" 2>&1)"
            say exec "$(ctr task exec --exec-id x "$1-stays" echo alive)"
            ctr task kill "$1-stays"; until_true 60 task_is "$1-stays" STOPPED; say stays_ends $?
            say new "$(sandbox $image "$1-new" echo works)"
            ctr task kill -s KILL "$1-counts"; until_true 60 task_is "$1-counts" STOPPED; say counts_ends $?
            discard "$1-counts" "$1-exits" "$1-dies" "$1-stays"
            say counted "$(tr '\\n' ' ' <$work/count)"
            """,
            Lab.id("restart"));
    result.expect("written_meanwhile", "1").expect("back", "0").expect("exec", "alive");
    result.expect("exits_seen", "0").expect("dies_seen", "0").expect("new", "works");
    result.expect("stays_ends", "0").expect("counts_ends", "0");
    assertEquals(result.value("before"), result.value("after"), result::toString);
    result.expectWords("exits", "exit code 7").expectWords("dies", "exit code 137");
    String[] counted = result.value("counted").split(" ", -1);
    assertTrue(
        IntStream.range(0, counted.length)
            .allMatch(i -> counted[i].equals(Integer.toString(i + 1))),
        "every line once, in order");
  }
}
