package io.rund.core.sandbox;

import io.rund.core.hypervisor.Pool;
import io.rund.core.hypervisor.VmTemplate;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The templates of an engine: at most a few, the one that was not used for longest goes first. They
 * are made in the background, one at a time, and kept in files. Safe for use by several threads;
 * nobody waits but for one that is just being read.
 */
final class Templates implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Templates.class);

  /** Each keeps the memory that a booted guest has written: some 40 MiB. */
  static final int LIMIT = 4;

  /** A guest that fails to boot once may boot the next time; a host that cannot clone never can. */
  static final int ATTEMPTS = 3;

  private final Duration delay;
  private final TemplateFiles files;

  /** Held while a template is read: who wants it as well waits for it. */
  private final Object reading = new Object();

  /** In order of their last use. All under this object's lock. */
  private final Map<TemplateShape, VmTemplate> templates = new LinkedHashMap<>(16, 0.75f, true);

  private final Map<TemplateShape, Integer> attempts = new HashMap<>();
  private Thread maker;
  private boolean closed;

  /**
   * @param delay before a template is made: the sandbox that needed it shall start undisturbed
   */
  Templates(Duration delay, TemplateFiles files) {
    this.delay = delay;
    this.files = files;
  }

  private synchronized Optional<VmTemplate> find(TemplateShape shape) {
    return Optional.ofNullable(templates.get(shape));
  }

  /**
   * The template of a shape, if there is one.
   *
   * @param loader reads it, if there is none but a file
   */
  Optional<VmTemplate> find(TemplateShape shape, TemplateFiles.Loader loader) {
    Optional<VmTemplate> found = find(shape);
    if (found.isPresent()) {
      return found;
    }
    synchronized (reading) {
      found = find(shape);
      if (found.isEmpty()) {
        files.load(shape, loader).ifPresent(template -> keep(shape, template));
        found = find(shape);
      }
      return found;
    }
  }

  /** Makes a template in the background, unless one is being made or has failed too often. */
  synchronized void want(TemplateShape shape, Supplier<VmTemplate> make) {
    if (closed
        || maker != null
        || templates.containsKey(shape)
        || attempts.getOrDefault(shape, 0) >= ATTEMPTS) {
      return;
    }
    attempts.merge(shape, 1, Integer::sum);
    maker = Thread.ofVirtual().name("template").start(() -> make(shape, make));
  }

  /** Whether one is being made, or written to its file. */
  synchronized boolean isMaking() {
    return maker != null;
  }

  synchronized Pool pool() {
    return new Pool("template", templates.size(), LIMIT);
  }

  private void make(TemplateShape shape, Supplier<VmTemplate> make) {
    try {
      Thread.sleep(delay);
      long began = System.nanoTime();
      VmTemplate template = make.get();
      keep(shape, template);
      log.info(
          "sandboxes of {} vCPUs and {} MiB are clones from now on; the template took {} ms",
          shape.vcpus(),
          shape.memoryBytes() >> 20,
          (System.nanoTime() - began) / 1_000_000);
      files.used(shapes());
      files.save(shape, template);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException e) {
      log.warn("no template, sandboxes boot cold: {}", e.getMessage(), e);
    } finally {
      synchronized (this) {
        maker = null;
      }
    }
  }

  /** In order of their last use. */
  private synchronized List<TemplateShape> shapes() {
    return List.copyOf(templates.keySet());
  }

  private synchronized void keep(TemplateShape shape, VmTemplate template) {
    if (closed) {
      release(template);
      return;
    }
    if (templates.putIfAbsent(shape, template) != null) {
      release(template); // One was made while another one was read.
      return;
    }
    if (templates.size() > LIMIT) {
      TemplateShape eldest = templates.keySet().iterator().next();
      release(templates.remove(eldest));
      attempts.remove(eldest);
    }
  }

  /** A clone of this shape's template works: later ones that do not count anew. */
  synchronized void worked(TemplateShape shape) {
    attempts.remove(shape);
  }

  /** A template whose clone did not work is not used again. */
  synchronized void discard(TemplateShape shape, VmTemplate template) {
    if (templates.remove(shape, template)) {
      release(template);
      files.remove(shape);
    }
  }

  private static void release(VmTemplate template) {
    try {
      template.close();
    } catch (RuntimeException e) {
      log.error("releasing a template", e);
    }
  }

  /** Gives up what is being made and releases what there is. */
  @Override
  public void close() {
    Thread making;
    synchronized (this) {
      closed = true;
      making = maker;
      templates.values().forEach(Templates::release);
      templates.clear();
    }
    if (making != null) {
      making.interrupt();
      try {
        making.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
