package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Many pods at once; {@link PodSoakTest} has more of them. */
@E2e
@Tag("containerd")
class ManyPodsTest {
  private static final int MANY = 10;

  @BeforeEach
  void forTheLabsCri() {
    LabExtension.prepareCri();
  }

  @Test
  void tenMadeAtOnceEachAnswerAndGoAtOnce() {
    try (CriPods pods = new CriPods()) {
      List<CriPods.Pod> all = pods.run(MANY);
      List<String> kernels = pods.kernels(all);
      assertEquals(MANY, new HashSet<>(kernels).size(), () -> "each its own: " + kernels);
      assertEquals(MANY, pods.ready().size());
      pods.remove(all);
      assertEquals(0, pods.known(all));
      // That nothing else is left of them is seen after each test.
    }
  }
}
