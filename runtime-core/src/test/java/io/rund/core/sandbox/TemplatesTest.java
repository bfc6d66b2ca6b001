package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Pool;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
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
  private final Templates templates =
      new Templates(Duration.ZERO, new TemplateFiles(Optional.empty()));

  private static final class FakeTemplate implements VmTemplate {
    volatile boolean closed;

    @Override
    public VirtualMachine clone(String id) {
      throw RundException.unavailable("there is no guest", null);
    }

    @Override
    public void save(FileChannel file) throws IOException {
      int _ = file.write(ByteBuffer.wrap(new byte[] {42}));
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

  private Optional<VmTemplate> find(TemplateShape shape) {
    return templates.find(shape, _ -> new FakeTemplate());
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
          return find(shape).isPresent();
        });
    return template;
  }

  @Test
  void aTemplateServesItsShapeOnly() throws Exception {
    FakeTemplate template = make(shape(1));
    assertSame(template, find(shape(1)).orElseThrow());
    assertEquals(Optional.empty(), find(shape(2)));
    TemplateShape before = shape(1);
    Files.writeString(kernel, "another kernel");
    assertNotEquals(before, shape(1));
    assertEquals(Optional.empty(), find(shape(1)));
    templates.close();
    assertTrue(template.closed);
    assertEquals(Optional.empty(), find(before));
  }

  @Test
  void accidentsBetweenClonesThatWorkDoNotAddUp() throws Exception {
    for (int i = 0; i <= Templates.ATTEMPTS; i++) {
      FakeTemplate template = make(shape(1));
      templates.worked(shape(1));
      templates.discard(shape(1), template);
      assertTrue(template.closed);
    }
  }

  @Test
  void aTemplateInUseKeepsItsFileWhenOthersCome() throws Exception {
    TemplateFiles files = new TemplateFiles(Optional.of(folder.resolve("templates")));
    TemplateFiles.Loader loader = _ -> new FakeTemplate();
    try (Templates own = new Templates(Duration.ZERO, files)) {
      for (int vcpus = 1; vcpus <= Templates.LIMIT + 1; vcpus++) {
        TemplateShape wanted = shape(vcpus);
        eventually(
            () -> {
              own.want(wanted, FakeTemplate::new);
              return own.find(wanted, loader).isPresent() && !own.isMaking();
            });
        assertTrue(own.find(shape(1), loader).isPresent());
      }
    }
    assertTrue(files.load(shape(1), loader).isPresent());
    assertEquals(Optional.empty(), files.load(shape(2), loader));
  }

  @Test
  void aTemplateIsFoundInAFileOnceAndLeavesItWhenItIsBad() throws Exception {
    TemplateFiles files = new TemplateFiles(Optional.of(folder.resolve("templates")));
    files.save(shape(1), new FakeTemplate());
    AtomicInteger loads = new AtomicInteger();
    FakeTemplate template = new FakeTemplate();
    TemplateFiles.Loader loader =
        _ -> {
          loads.incrementAndGet();
          return template;
        };
    try (Templates next = new Templates(Duration.ZERO, files)) {
      assertEquals(Optional.empty(), next.find(shape(2), loader));
      assertSame(template, next.find(shape(1), loader).orElseThrow());
      assertSame(template, next.find(shape(1), loader).orElseThrow());
      assertEquals(1, loads.get());
      next.discard(shape(1), template);
      assertTrue(template.closed);
      assertEquals(Optional.empty(), next.find(shape(1), loader));
    }
  }

  @Test
  void whatIsMadeIsKeptInAFile() throws Exception {
    TemplateFiles files = new TemplateFiles(Optional.of(folder.resolve("templates")));
    try (Templates made = new Templates(Duration.ZERO, files)) {
      made.want(shape(1), FakeTemplate::new);
      eventually(() -> files.load(shape(1), _ -> new FakeTemplate()).isPresent());
    }
    try (Templates next = new Templates(Duration.ZERO, files)) {
      assertTrue(next.find(shape(1), _ -> new FakeTemplate()).isPresent());
    }
  }

  @Test
  void theOneThatWasNotUsedForLongestGoesFirst() throws Exception {
    List<FakeTemplate> made = new ArrayList<>();
    for (int i = 0; i < Templates.LIMIT; i++) {
      made.add(make(shape(1 + i)));
    }
    assertTrue(find(shape(1)).isPresent());
    made.add(make(shape(1 + Templates.LIMIT)));
    assertEquals(new Pool("template", Templates.LIMIT, Templates.LIMIT), templates.pool());
    assertFalse(made.get(0).closed);
    assertTrue(made.get(1).closed);
    assertEquals(Optional.empty(), find(shape(2)));
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
    assertTrue(find(shape(1)).isEmpty());
    var _ = make(shape(2));
    templates.close();
  }

  @Test
  void aBadTemplateIsNotUsedAgain() throws Exception {
    FakeTemplate template = make(shape(1));
    templates.discard(shape(1), template);
    assertTrue(template.closed);
    assertEquals(Optional.empty(), find(shape(1)));
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
    assertTrue(templates.isMaking());
    templates.close();
    assertFalse(templates.isMaking());
    assertTrue(template.closed);
    templates.want(shape(1), FakeTemplate::new);
    assertTrue(find(shape(1)).isEmpty());
  }
}
