package io.rund.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckTest {
  private static final List<Double> OTHER = List.of(100.0, 100.0, 100.0, 100.0, 100.0);
  private static final List<Double> STEADY = List.of(50.0, 50.0, 50.0, 50.0, 50.0);
  private static final List<Double> NOISY = List.of(35.0, 45.0, 50.0, 55.0, 65.0);

  private static Comparison of(String id, List<Double> a) {
    return new Comparison(id, "for the test", "ms", a, OTHER, 1);
  }

  private static List<Double> times(double factor, List<Double> values) {
    return values.stream().map(value -> factor * value).toList();
  }

  @Test
  void whatIsWorseByMoreThanItsNoiseIsTold() {
    List<Comparison> steady = List.of(of("B1", STEADY));
    assertEquals(List.of(), Check.worse(steady, List.of(of("B1", times(1.01, STEADY)))));
    assertEquals(List.of(), Check.worse(steady, List.of(of("B1", times(0.5, STEADY)))));
    List<String> worse = Check.worse(steady, List.of(of("B1", times(1.1, STEADY))));
    assertEquals(1, worse.size());
    assertTrue(worse.getFirst().startsWith("B1 (for the test): ratio 0.550"), worse::toString);
  }

  @Test
  void whereThereIsMoreNoiseMoreIsChance() {
    List<Comparison> noisy = List.of(of("B1", NOISY));
    assertEquals(List.of(), Check.worse(noisy, List.of(of("B1", times(1.1, NOISY)))));
    assertEquals(1, Check.worse(noisy, List.of(of("B1", times(1.5, NOISY)))).size());
  }

  @Test
  void whatIsNoLongerMeasuredIsTold() {
    List<String> worse = Check.worse(List.of(of("B1", STEADY)), List.of(of("B2", STEADY)));
    assertEquals(List.of("B1 (for the test) was not measured"), worse);
  }

  @Test
  void whatIsWrittenIsRead(@TempDir Path folder) throws IOException {
    of("B2", NOISY).write(folder);
    of("B1", STEADY).write(folder);
    assertEquals(List.of(of("B1", STEADY), of("B2", NOISY)), Comparison.readAll(folder));
  }
}
