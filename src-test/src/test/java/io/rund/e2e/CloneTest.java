package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A sandbox that is a clone of a template is like one that has booted, and like no other. */
@E2e
@Tag("clones")
class CloneTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(8);

  /** clone ID FLAG...: whether a sandbox with these flags is a clone. */
  private static final String FUNCTIONS =
      """
      clone() {
        local id=$1 status
        shift
        launch "$@" $image "$id" probe sleep || return
        clone_runs
        status=$?
        discard "$id"
        return $status
      }
      """;

  @Test
  void noTwoClonesShareBootIdRandomBytesOrClock() {
    int clones = 8;
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                until_true 240 clone "$1-first"; say template $?
                for i in $(seq $2); do
                  say before "$(date +%s%3N)"
                  sandbox $image "$1-$i" sh -c '
                    echo random=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d " ")
                    echo boot=$(cat /proc/sys/kernel/random/boot_id)
                    echo again=$(cat /proc/sys/kernel/random/boot_id)
                    echo hostname=$(hostname)
                    echo guest=$(probe clock)'
                  say status $?
                  say after "$(date +%s%3N)"
                done
                say host "$(hostname)"
                """,
            Lab.id("clones"),
            Integer.toString(clones));
    result.expect("template", "0");
    assertEquals(List.of("0"), distinct(result, "status"), result::toString);
    assertEquals(clones, distinct(result, "random").size(), result::toString);
    assertEquals(clones, distinct(result, "boot").size(), result::toString);
    assertEquals(result.values("boot"), result.values("again"), result::toString);
    assertEquals(List.of(result.value("host")), distinct(result, "hostname"), result::toString);
    assertClocksRight(result, clones);
  }

  /** Each says the host's time before and after, and between them the guest's. */
  private static void assertClocksRight(Result result, int clones) {
    for (int i = 0; i < clones; i++) {
      long guest = Long.parseLong(result.values("guest").get(i));
      long before = Long.parseLong(result.values("before").get(i));
      long after = Long.parseLong(result.values("after").get(i));
      assertTrue(guest > before - 50 && guest < after + 50, result::toString);
    }
  }

  @Test
  void theClockIsRightWhenTheTemplateIsAnHourOld() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                [ "$RUND_LAB" = vm ] || { say kept yes; exit; }
                say kept no
                until_true 240 clone "$1-first"; say template $?
                date -s "@$(($(date +%s) + 3600))" >&2
                for i in 1 2; do
                  say before "$(date +%s%3N)"
                  say guest "$(sandbox $image "$1-$i" probe clock)"
                  say after "$(date +%s%3N)"
                done
                date -s "@$(($(date +%s) - 3600))" >&2
                """,
            Lab.id("hour"));
    assumeTrue(
        result.value("kept").equals("no"), "it sets the clock, which nobody's own machine is for");
    result.expect("template", "0");
    assertClocksRight(result, 2);
  }

  @Test
  void theClockOfASandboxThatRunsFollowsTheHosts() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            [ "$RUND_LAB" = vm ] || { say kept yes; exit; }
            say kept no
            launch $image "$1" probe sleep || exit
            right() {
              local guest
              guest=$(ctr task exec --exec-id "c$RANDOM" "$1" date +%s)
              [ $(($(date +%s) - guest)) -ge -1 ] && [ $(($(date +%s) - guest)) -lt 5 ]
            }
            date -s "@$(($(date +%s) + 3600))" >&2
            until_true 150 right "$1"; say right $?
            date -s "@$(($(date +%s) - 3600))" >&2
            discard "$1"
            """,
            Lab.id("time"));
    assumeTrue(
        result.value("kept").equals("no"), "it sets the clock, which nobody's own machine is for");
    result.expect("right", "0");
  }

  private static List<String> distinct(Result result, String key) {
    return List.copyOf(new HashSet<>(result.values(key)));
  }

  @Test
  void eachSizeHasATemplateOfItsOwn() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                size="--memory-limit $((100 << 20))"
                until_true 240 clone "$1-first"; say template $?
                until_true 240 clone "$1-large" $size; say large $?
                sandbox $size $image "$1" sh -c 'echo cpus=$(nproc)
                  echo memory=$(awk "/MemTotal/ { print \\$2 }" /proc/meminfo)
                  sh -c "exit 7" & wait $!; echo child=$?'
                clone "$1-small"; say small $?
                """,
            Lab.id("sizes"));
    result.expect("template", "0").expect("large", "0").expect("small", "0");
    result.expect("cpus", "1").expect("child", "7");
    long mebibytes = result.number("memory") / 1024;
    assertTrue(mebibytes > 64 && mebibytes <= 164, result::toString);
  }

  @Test
  void clonesOfSeveralCpusRunOnAllOfThemWithOneClock() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                variant 'annotations = ["io.rund.vcpus"]'
                launch --annotation io.rund.clone=false $image "$1-keeps-the-engine" probe sleep || exit
                for cpus in 2 4; do
                  size="--annotation io.rund.vcpus=$cpus"
                  until_true 240 clone "$1-$cpus-first" $size; say "template" $?
                  for i in 1 2; do
                    sandbox $size $image "$1-$cpus-$i" sh -c '
                      busy() { i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done; }
                      echo cpus=$(nproc)
                      for cpu in $(seq $(nproc)); do busy & done
                      wait
                      exec probe ring 20'
                    say status $?
                  done
                done
                discard "$1-keeps-the-engine"
                variant_end
                """,
            Lab.id("cpus"));
    assertEquals(List.of("0", "0"), result.values("template"), result::toString);
    assertEquals(List.of("2", "2", "4", "4"), result.values("cpus"), result::toString);
    assertEquals(result.values("cpus"), result.values("ring"), result::toString);
    assertEquals(List.of("0"), distinct(result, "backwards"), result::toString);
    assertEquals(List.of("0"), distinct(result, "status"), result::toString);
    result.expect("engine_left", "0");
  }

  @Test
  void whoeverAsksForItBootsCold() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                until_true 240 clone "$1-first"; say template $?
                clone "$1-cold" --annotation io.rund.clone=false; say cold $?
                clone "$1-warm" --annotation io.rund.clone=true; say warm $?
                attempt bad sandbox --annotation io.rund.clone=maybe $image "$1-bad" true
                """,
            Lab.id("cold"));
    result.expect("template", "0").expect("cold", "1").expect("warm", "0");
    result.expect("bad_status", "1");
    assertTrue(result.value("bad").contains("it must be \"true\" or \"false\""), result::toString);
  }
}
