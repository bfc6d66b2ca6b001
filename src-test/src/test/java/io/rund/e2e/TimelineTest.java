package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Where a start takes its time. */
@E2e
class TimelineTest {
  private record Phase(long start, long end) {}

  @Test
  void thePhasesAddUpToTheWholeStart() throws Exception {
    Result result =
        Lab.script(
            Duration.ofMinutes(3),
            """
            launch $image "$1" probe sleep || exit 1
            say timeline "$(rund timeline "$1" --json | tr -d '\n')"
            discard "$1"
            """,
            Lab.id("timeline"));
    List<Phase> phases = new ArrayList<>();
    for (JsonNode phase : new ObjectMapper().readTree(result.value("timeline")).get("phases")) {
      phases.add(new Phase(phase.get("start_nanos").asLong(), phase.get("end_nanos").asLong()));
    }
    long whole = phases.stream().mapToLong(Phase::end).max().orElseThrow();
    assertTrue(covered(phases) >= 0.95 * whole, result::toString);
  }

  /** Nanoseconds in which there is a phase, from the request on. */
  private static long covered(List<Phase> phases) {
    long covered = 0;
    long until = 0;
    for (Phase phase : phases.stream().sorted(Comparator.comparingLong(Phase::start)).toList()) {
      covered += Math.max(0, phase.end() - Math.max(until, phase.start()));
      until = Math.max(until, phase.end());
    }
    return covered;
  }
}
