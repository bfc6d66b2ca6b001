package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TemplatesTest {
  @TempDir private Path folder;
  private Path kernel;
  private final Templates templates = new Templates(Duration.ZERO);

  private static final class FakeTemplate implements VmTemplate {
    volatile boolean closed;

    @Override
    public VirtualMachine clone(String id) {
      throw RundException.unavailable("there is no guest", null);
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  @BeforeEach
  void write() throws IOException {
    kernel = Files.writeString(folder.resolve("vmlinux"), "kernel");
  }

  private TemplateShape shape(int vcpus) {
    return TemplateShape.of(
        new VmConfig("a", vcpus, 1 << 20, kernel, kernel, "", 16, Optional.empty()));
  }

  private static void eventually(BooleanSupplier condition) throws InterruptedException {
    for (long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        !condition.getAsBoolean(); ) {
      assertTrue(System.nanoTime() < end, "did not happen within 30 s");
      Thread.sleep(2);
    }
  }

  /** Wishes until it is fulfilled: one template is made at a time. */
  private FakeTemplate make(TemplateShape shape) throws InterruptedException {
    FakeTemplate template = new FakeTemplate();
    eventually(
        () -> {
          templates.want(shape, () -> template);
          return templates.find(shape).isPresent();
        });
    return template;
  }

  @Test
  void aTemplateServesItsShapeOnly() throws Exception {
    FakeTemplate template = make(shape(1));
    assertSame(template, templates.find(shape(1)).orElseThrow());
    assertEquals(Optional.empty(), templates.find(shape(2)));
    TemplateShape before = shape(1);
    Files.writeString(kernel, "another kernel");
    assertNotEquals(before, shape(1));
    assertEquals(Optional.empty(), templates.find(shape(1)));
    templates.close();
    assertTrue(template.closed);
    assertEquals(Optional.empty(), templates.find(before));
  }

  @Test
  void theOneThatWasNotUsedForLongestGoesFirst() throws Exception {
    List<FakeTemplate> made = new ArrayList<>();
    for (int i = 0; i < Templates.LIMIT; i++) {
      made.add(make(shape(1 + i)));
    }
    assertTrue(templates.find(shape(1)).isPresent());
    made.add(make(shape(1 + Templates.LIMIT)));
    assertFalse(made.get(0).closed);
    assertTrue(made.get(1).closed);
    assertEquals(Optional.empty(), templates.find(shape(2)));
    templates.close();
    assertTrue(made.stream().allMatch(template -> template.closed));
  }

  @Test
  void aHostThatCannotCloneIsNotAskedForEver() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    Supplier<VmTemplate> cannot =
        () -> {
          asked.incrementAndGet();
          throw RundException.unavailable("no", null);
        };
    for (int i = 1; i <= Templates.ATTEMPTS; i++) {
      int wanted = i;
      eventually(
          () -> {
            templates.want(shape(1), cannot);
            return asked.get() >= wanted;
          });
    }
    for (int i = 0; i < 20; i++) {
      templates.want(shape(1), cannot);
      Thread.sleep(1);
    }
    assertEquals(Templates.ATTEMPTS, asked.get());
    assertTrue(templates.find(shape(1)).isEmpty());
    var _ = make(shape(2));
    templates.close();
  }

  @Test
  void aBadTemplateIsNotUsedAgain() throws Exception {
    FakeTemplate template = make(shape(1));
    templates.discard(shape(1), template);
    assertTrue(template.closed);
    assertEquals(Optional.empty(), templates.find(shape(1)));
    templates.close();
  }

  @Test
  void theEndDoesNotWaitForATemplateToBeMadeNorLeaveIt() throws Exception {
    CountDownLatch making = new CountDownLatch(1);
    FakeTemplate template = new FakeTemplate();
    templates.want(
        shape(1),
        () -> {
          making.countDown();
          try {
            Thread.sleep(Duration.ofMinutes(5));
          } catch (InterruptedException e) {
            return template; // as if it had been ready just then
          }
          throw new AssertionError("not interrupted");
        });
    making.await();
    templates.close();
    assertTrue(template.closed);
    templates.want(shape(1), FakeTemplate::new);
    assertTrue(templates.find(shape(1)).isEmpty());
  }
}
