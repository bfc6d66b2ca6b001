package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a sandbox does not need costs the host nothing. */
@E2e
class DensityTest {
  private static final long MIB = 1 << 20;

  /**
   * Shell: fill ID FLAG... says what the host has for a guest before it fills 60 MiB and then, and
   * whether it has less soon after they are freed.
   */
  private static final String FUNCTIONS =
      """
      touched() { rund overhead "$1" --json | sed -n 's/.*"guest_ram" : "*\\([0-9]*\\).*/\\1/p'; }
      inside() { ctr task exec --exec-id "x$RANDOM" "$id" "$@"; }
      fallen() { [ "$(touched "$id")" -lt $((full - (40 << 20))) ]; }
      fill() {
        id=$1
        shift
        launch "$@" $image "$id" probe sleep || return
        clone_runs; say clone $?
        say before "$(touched "$id")"
        inside dd if=/dev/zero of=/dev/shm/fill bs=1M count=60 2>/dev/null
        full=$(touched "$id")
        say full "$full"
        inside rm /dev/shm/fill
        until_true 120 fallen; say fallen $?
        say after "$(touched "$id")"
        discard "$id"
      }
      """;

  private static void assertGoesBack(Result result) {
    assertTrue(result.number("full") - result.number("before") > 50 * MIB, result::toString);
    result.expect("fallen", "0");
  }

  @Test
  void whatASandboxFreesGoesBackToTheHost() {
    String flags = "--annotation io.rund.clone=false";
    Result result =
        Lab.script(Duration.ofMinutes(6), FUNCTIONS + "fill \"$1\" " + flags, Lab.id("freed"));
    assertGoesBack(result.expect("clone", "1"));
  }

  @Test
  @Tag("clones")
  void whatACloneFreesGoesBackToTheHost() {
    Result result =
        Lab.script(
            Duration.ofMinutes(8),
            FUNCTIONS
                + """
                cloned() {
                  launch $image "$1" probe sleep && clone_runs
                  local status=$?
                  discard "$1"
                  return $status
                }
                until_true 240 cloned "$1"; say template $?
                fill "$1"
                """,
            Lab.id("freed"));
    assertGoesBack(result.expect("template", "0").expect("clone", "0"));
  }

  @Test
  void sandboxesThatDoNothingTakeNoCpu() {
    Result result =
        Lab.script(
            Duration.ofMinutes(8),
            """
            ticks() {
              local task name stat sum=0
              for task in /proc/"$(engines | head -n 1)"/task/*; do
                { read -r name <"$task/comm" && read -ra stat <"$task/stat"; } 2>/dev/null || continue
                [[ $name != vcpu* ]] || sum=$((sum + stat[13] + stat[14]))
              done
              echo $sum
            }
            for i in 1 2 3 4 5; do launch $image "$1-$i" probe sleep || exit; done
            sleep 10 # what there is to do after a start is done
            before=$(ticks); began=${EPOCHREALTIME//[!0-9]/}
            sleep 30
            after=$(ticks); ended=${EPOCHREALTIME//[!0-9]/}
            say before "$before"
            say thousandths $(((after - before) * 10000 * 1000 / (ended - began)))
            discard "$1-1" "$1-2" "$1-3" "$1-4" "$1-5"
            """,
            Lab.id("idle"));
    assertTrue(result.number("before") > 0, result::toString);
    assertTrue(result.number("thousandths") < 100, result::toString);
  }
}
