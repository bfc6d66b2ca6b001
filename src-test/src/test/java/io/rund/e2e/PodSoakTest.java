package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Pods through CRI in numbers, which the environment says: RUND_SOAK_PODS at once and
 * RUND_SOAK_POD_CYCLES one after the other. What is left of them is seen after each test.
 */
@Soak
class PodSoakTest {
  private static final Duration SHORT = Duration.ofMinutes(5);
  private static final int SURVIVORS = 20;

  /** Numbers on standard output, for the log. */
  private static final String COUNTS = "i=0; while :; do i=$((i + 1)); echo $i; sleep 0.2; done";

  /** Ends when a file appears among the logs. */
  private static final String ENDS = "until [ -e /logs/now ]; do sleep 0.2; done; exit 7";

  @BeforeEach
  void forTheLabsCri() {
    LabExtension.prepareCri();
  }

  @Test
  void manyMadeAtOnceEachAnswerAndGoAtOnce() {
    int many = SoakTest.parameter("RUND_SOAK_PODS", 50);
    try (CriPods pods = new CriPods()) {
      List<CriPods.Pod> all = pods.run(many);
      List<String> kernels = pods.kernels(all);
      assertEquals(many, new HashSet<>(kernels).size(), () -> "each its own: " + kernels);
      assertEquals(many, pods.ready().size());
      pods.remove(all);
      assertEquals(0, pods.known(all));
    }
  }

  @Test
  void oneAfterTheOtherLeavesTheEngineAsItWasAfterTheFirstHundred() {
    int cycles = SoakTest.parameter("RUND_SOAK_POD_CYCLES", 500);
    int part = Math.max(cycles / 5, 1);
    List<Long> memory = new ArrayList<>();
    try (CriPods pods = new CriPods()) {
      for (int cycle = 1; cycle <= cycles; cycle++) {
        CriPods.Pod pod = pods.run();
        assertEquals(36, pods.kernel(pod).length());
        pods.remove(pod);
        if (cycle % part == 0) {
          memory.add(Lab.script(SHORT, "say memory \"$(engine_memory)\"").number("memory"));
        }
      }
    }
    System.err.printf("engine memory in KiB, every %d pods: %s%n", part, memory);
    long most = memory.getFirst() + SoakTest.MOST_GROWTH_KIB;
    assertTrue(memory.stream().allMatch(kib -> kib <= most), memory::toString);
  }

  @Test
  void twentyOutliveContainerd() throws Exception {
    try (CriPods pods = new CriPods()) {
      List<CriPods.Pod> counting = pods.run(SURVIVORS / 2, COUNTS);
      List<CriPods.Pod> ending = pods.run(SURVIVORS / 2, ENDS);
      List<CriPods.Pod> all = Stream.concat(counting.stream(), ending.stream()).toList();
      List<String> kernels = pods.kernels(counting);
      List<String> ready = pods.ready();
      List<Integer> before = counting.stream().map(pod -> pods.output(pod).size()).toList();
      Lab.script(
              SHORT,
              "kill_containerd; touch /tmp/cri-many/now; sleep 5; start_containerd; say back $?")
          .expect("back", "0");
      pods.reconnect();
      assertEquals(SURVIVORS, ready.size());
      assertEquals(ready, pods.ready(), "all are found again");
      for (CriPods.Pod pod : ending) {
        assertEquals(7, pods.exitStatus(pod));
      }
      assertEquals(kernels, pods.kernels(counting), "and have gone on meanwhile");
      for (int i = 0; i < counting.size(); i++) {
        List<String> lines = pods.output(counting.get(i));
        assertTrue(lines.size() > before.get(i), "it has written meanwhile");
        assertEquals(
            IntStream.rangeClosed(1, lines.size()).mapToObj(Integer::toString).toList(),
            lines,
            "every line once, in order");
      }
      pods.remove(all);
      Lab.script(SHORT, "rm -r /tmp/cri-many").expectExit(0);
      assertEquals(0, pods.known(all));
    }
  }

  @Test
  void ofFiftyTasksAtOnceNoEventIsLostOrDoubled() {
    int many = 50;
    Result result =
        Lab.script(
            Duration.ofMinutes(30),
            """
            watch_events
            for i in $(seq "$2"); do sandbox $image "$1-$i" sh -c "exit $i" 2>$work/$i & tasks[i]=$!; done
            for i in $(seq "$2"); do wait ${tasks[i]} || [ $? = $i ] || say failed "$i: $(cat $work/$i)"; done
            for i in $(seq "$2"); do until_true 60 grep -q "/tasks/delete.*\\"$1-$i\\"" $work/events; done
            sleep 5 # what should not come has time to come
            kill $watcher
            for i in $(seq "$2"); do say "task$i" "$(events_of "$1-$i")"; done
            """,
            Lab.id("fifty"),
            Integer.toString(many));
    assertEquals(List.of(), result.values("failed"), result::toString);
    for (int i = 1; i <= many; i++) {
      result.expect("task" + i, "create;start;exit %d;delete %d;".formatted(i, i));
    }
  }
}
