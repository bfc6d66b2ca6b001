package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Many sandboxes at once. */
@E2e
class ParallelSandboxesTest {
  @Test
  void tenStartedTogetherEachHaveTheirOwnKernel() {
    Result result =
        Lab.script(
            Duration.ofMinutes(8),
            """
            for i in 1 2 3 4 5 6 7 8 9 10; do
              sandbox $image "$1-$i" sh -c 'cat /proc/sys/kernel/random/boot_id; exec probe sleep' >$work/$i 2>&1 &
              pids[i]=$!
            done
            for i in 1 2 3 4 5 6 7 8 9 10; do until_true 200 grep -q ready $work/$i; done
            say together "$(ctr task ls | grep -c RUNNING)"
            for i in 1 2 3 4 5 6 7 8 9 10; do ctr task kill -s TERM "$1-$i"; done
            for i in 1 2 3 4 5 6 7 8 9 10; do
              wait ${pids[i]}; say status $?
              say boot "$(head -n 1 $work/$i)"
            done
            """,
            Lab.id("parallel"));
    result.expect("together", "10");
    List<String> boots = result.values("boot");
    assertEquals(10, new HashSet<>(boots).size(), result::toString);
    assertEquals(
        List.of("42"), result.values("status").stream().distinct().toList(), result::toString);
  }
}
