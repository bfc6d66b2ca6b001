package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.Collections;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Starting and stopping leaves nothing; {@link LabExtension} compares all that the host holds, as
 * after every test, and thirty rounds make the smallest leak thirty times as large.
 */
@E2e
@Tag("disks")
class RepeatedStartsTest {
  private static final int CYCLES = 30;

  @Test
  void thirtyCyclesLeaveTheHostAsItWas() {
    HostState before = HostState.take();
    Result result =
        Lab.script(
            Duration.ofMinutes(15),
            """
            for i in $(seq "$2"); do sandbox $image "$1-$i" probe exit 3; say status $?; done
            """,
            Lab.id("cycle"),
            Integer.toString(CYCLES));
    assertEquals(Collections.nCopies(CYCLES, "3"), result.values("status"), result::toString);
    HostState.assertNothingLeft(before);
  }
}
