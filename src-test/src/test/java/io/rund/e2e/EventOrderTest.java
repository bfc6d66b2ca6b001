package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What those learn who listen to containerd's events. */
@E2e
class EventOrderTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  /** As containerd's documentation of runtime v2 orders them. */
  private static final String LIFE =
      "create;start;exec-added e1;exec-started e1;exit e1 3;exit 143;delete 143;";

  @Test
  @Tag("containerd")
  void eventsComeInTheOrderOfTheLifeAndAsWithRunc() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            life() {
              launch $image "$1" sh -c 'trap "exit 143" TERM; while :; do sleep 0.1; done' || exit
              ctr task exec --exec-id e1 "$1" sh -c 'exit 3'
              ctr task kill "$1"
              until_true 60 task_is "$1" STOPPED
              ctr task rm "$1" 2>/dev/null
              ctr container rm "$1"
              until_true 60 grep -q "/tasks/delete.*\\"$1\\"" $work/events
              sleep 2 # what should not come has time to come
            }
            watch_events
            life "$1-rund"
            runtime=io.containerd.runc.v2
            life "$1-runc"
            kill $watcher
            say rund "$(events_of "$1-rund")"
            say runc "$(events_of "$1-runc")"
            """,
            Lab.id("events"));
    assertEquals(LIFE, result.value("rund"), result::toString);
    assertEquals(result.value("runc"), result.value("rund"), result::toString);
  }

  @Test
  void ofTasksThatRunAtOnceNoneIsLostOrDoubled() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            watch_events
            for i in 1 2 3 4; do sandbox $image "$1-$i" sh -c "exit $i" & tasks[i]=$!; done
            wait "${tasks[@]}"
            for i in 1 2 3 4; do until_true 60 grep -q "/tasks/delete.*\\"$1-$i\\"" $work/events; done
            sleep 2
            kill $watcher
            for i in 1 2 3 4; do say "task$i" "$(events_of "$1-$i")"; done
            """,
            Lab.id("many"));
    for (int i = 1; i <= 4; i++) {
      result.expect("task" + i, "create;start;exit %d;delete %d;".formatted(i, i));
    }
  }
}
