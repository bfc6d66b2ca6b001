package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Many sandboxes at once. */
@E2e
class ParallelSandboxesTest {
  private static final int MANY = 24;

  @Test
  void twentyFourStartedTogetherEachGetTheirTurnAndAKernelOfTheirOwn() {
    Result result =
        Lab.script(
            Duration.ofMinutes(9),
            """
            for i in $(seq "$2"); do
              sandbox $image "$1-$i" sh -c 'cat /proc/sys/kernel/random/boot_id; exec probe sleep' >$work/$i 2>&1 &
              pids[i]=$!
            done
            for i in $(seq "$2"); do until_true 200 grep -q ready $work/$i; done
            say together "$(ctr task ls | grep -c RUNNING)"
            for i in $(seq 4 4 "$2"); do
              rund timeline "$1-$i" --json | tr -d ' \n' | grep -o '"admission","start_nanos":[0-9]*,"end_nanos":[0-9]*' |
                tr -c '0-9\n' ' ' | while read -r from to; do say waited $(((to - from) / 1000000)); done
            done
            for i in $(seq "$2"); do ctr task kill -s TERM "$1-$i"; done
            for i in $(seq "$2"); do
              wait ${pids[i]}; say status $?
              say boot "$(head -n 1 $work/$i)"
            done
            """,
            Lab.id("parallel"),
            Integer.toString(MANY));
    result.expect("together", Integer.toString(MANY));
    List<String> boots = result.values("boot");
    assertEquals(MANY, new HashSet<>(boots).size(), result::toString);
    assertEquals(
        List.of("42"), result.values("status").stream().distinct().toList(), result::toString);
    // What a start waited for its turn is a phase of its timeline. To see one takes ten seconds in
    // the lab, so it is a quarter of them.
    List<Long> waited = result.values("waited").stream().map(Long::parseLong).toList();
    assertEquals(MANY / 4, waited.size(), result::toString);
    assertTrue(waited.stream().anyMatch(millis -> millis > 100), waited::toString);
  }
}
