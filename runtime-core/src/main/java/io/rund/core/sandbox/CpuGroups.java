package io.rund.core.sandbox;

import io.rund.core.hypervisor.Pool;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The cgroups by which the host's scheduler holds sandboxes to their CPU weights and quotas. All
 * vCPUs are threads of one process, so with cgroup v2 they are threaded ones below the engine's own
 * (Documentation/admin-guide/cgroup-v2.rst, "Threads"); with v1 the cpu tree takes threads as they
 * are. A few are made before they are needed. Safe for use by several threads.
 */
final class CpuGroups implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(CpuGroups.class);

  /** So many are kept, in use or not. */
  private static final int POOL = 8;

  /**
   * A thread that has ended leaves its cgroup a moment later, on a host with much to do long after.
   */
  private static final Duration EMPTY_AFTER = Duration.ofSeconds(10);

  private static final int MAX_PAUSE_MILLIS = 100;

  /**
   * Microseconds. A thread that has used up its quota stands still for up to that long, perhaps in
   * Java, where the whole engine waits for it when it collects garbage: so it is a fifth of the
   * usual, which the guest has for its containers.
   */
  private static final long PERIOD = CpuShare.PERIOD / 5;

  private static final String OURS = "rund";

  private final Optional<Path> parent;
  private final boolean threaded;
  private final String prefix = ProcessHandle.current().pid() + "-";

  // All under this object's lock, which nobody holds while the kernel makes or removes one.

  /** Numbers of those that exist and that nobody uses. */
  private final TreeSet<Integer> free = new TreeSet<>();

  /** Numbers of those that exist, and how many of them are to stay. */
  private final BitSet made = new BitSet();

  private int staying;

  /** Numbers of those that are being removed. */
  private final BitSet leaving = new BitSet();

  private boolean closed;

  private CpuGroups(Optional<Path> parent, boolean threaded) {
    this.parent = parent;
    this.threaded = threaded;
  }

  /** On a host that has none for us, or forbids them, all are {@link CpuGroup#NONE}. */
  static CpuGroups open(Path root) {
    boolean threaded = Files.exists(root.resolve("cgroup.controllers"));
    CpuGroups groups = new CpuGroups(Optional.empty(), threaded);
    try {
      Optional<Path> parent = threaded ? ownGroup(root) : Optional.of(root.resolve("cpu"));
      if (parent.filter(Files::isDirectory).isPresent()) {
        groups =
            new CpuGroups(threaded ? parent : Optional.of(parent.get().resolve(OURS)), threaded);
        groups.prepare(root);
      }
      return groups;
    } catch (IOException e) {
      log.warn("sandboxes get no CPU weight and quota from the host: {}", e.toString());
      groups.close();
      return new CpuGroups(Optional.empty(), threaded);
    }
  }

  /** The engine's own, if it has one that is not everybody's. */
  private static Optional<Path> ownGroup(Path root) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/cgroup")).stream()
        .filter(line -> line.startsWith("0::/" + OURS + "/"))
        .map(line -> root.resolve(line.substring("0::/".length())))
        .findFirst();
  }

  private void prepare(Path root) throws IOException {
    Path folder = parent.orElseThrow();
    if (threaded) {
      Files.writeString(root.resolve("cgroup.subtree_control"), "+cpu");
      Files.writeString(root.resolve(OURS).resolve("cgroup.subtree_control"), "+cpu");
    } else {
      Files.createDirectories(folder);
    }
    removeStale(folder);
    for (int number = 0; number < POOL; number++) {
      make(number);
      synchronized (this) {
        made.set(number);
        free.add(number);
        staying++;
      }
      if (threaded && number == 0) {
        // Allowed beside processes only now, when the engine's is the root of a threaded tree.
        Files.writeString(folder.resolve("cgroup.subtree_control"), "+cpu");
      }
    }
  }

  /** Those of engines that were killed. */
  private static void removeStale(Path folder) throws IOException {
    try (DirectoryStream<Path> old = Files.newDirectoryStream(folder, "[0-9]*-[0-9]*")) {
      for (Path each : old) {
        String name = each.getFileName().toString();
        if (!Files.exists(Path.of("/proc", name.substring(0, name.indexOf('-'))))) {
          Files.deleteIfExists(each);
        }
      }
    }
  }

  private void make(int number) throws IOException {
    Path folder = folder(number);
    Files.createDirectory(folder);
    if (threaded) {
      try {
        Files.writeString(folder.resolve("cgroup.type"), "threaded");
      } catch (IOException e) {
        var _ = remove(folder);
        throw e;
      }
    }
  }

  private Path folder(int number) {
    return parent.orElseThrow().resolve(prefix + number);
  }

  /** One that nobody uses, without limits. */
  CpuGroup take() {
    int number;
    synchronized (this) {
      if (parent.isEmpty() || closed) {
        return CpuGroup.NONE;
      }
      if (!free.isEmpty()) {
        return new Group(free.pollFirst());
      }
      number = made.nextClearBit(0);
      made.set(number);
      staying++;
    }
    try {
      make(number);
      return new Group(number);
    } catch (IOException e) {
      log.warn("a sandbox gets no CPU weight and quota from the host: {}", e.toString());
      synchronized (this) {
        made.clear(number);
        staying--;
      }
      return CpuGroup.NONE;
    }
  }

  synchronized Pool pool() {
    return new Pool("cgroup", free.size(), parent.isPresent() ? POOL : 0);
  }

  /** Keeps it for the next, or has it removed, in a while, if there are enough. */
  private void giveBack(int number) {
    synchronized (this) {
      if (!closed && staying <= POOL) {
        free.add(number);
        return;
      }
      staying--;
      leaving.set(number);
    }
    Thread.ofVirtual().name("cgroup " + number).start(() -> leave(number));
  }

  /** One that does not go is kept for the next, too. */
  private void leave(int number) {
    boolean removed = remove(folder(number));
    synchronized (this) {
      leaving.clear(number);
      if (removed) {
        made.clear(number);
      } else if (!closed) {
        free.add(number);
        staying++;
      }
      notifyAll();
    }
  }

  private static boolean remove(Path folder) {
    long end = System.nanoTime() + EMPTY_AFTER.toNanos();
    try {
      for (int pause = 1; ; pause = Math.min(2 * pause, MAX_PAUSE_MILLIS)) {
        try {
          Files.deleteIfExists(folder);
          return true;
        } catch (IOException e) {
          if (System.nanoTime() - end > 0) {
            log.warn("cannot remove cgroup {}: {}", folder, e.toString());
            return false;
          }
        }
        Thread.sleep(pause);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Removes all that nobody uses, and waits for it; others go when they are given back. */
  @Override
  public void close() {
    List<Integer> unused;
    synchronized (this) {
      closed = true;
      unused = List.copyOf(free);
      free.clear();
    }
    unused.forEach(number -> remove(folder(number)));
    synchronized (this) {
      try {
        while (!leaving.isEmpty()) {
          wait();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private final class Group implements CpuGroup {
    private final int number;
    private CpuShare current = CpuShare.FREE;
    private boolean left;

    private Group(int number) {
      this.number = number;
    }

    @Override
    public void enter(List<Integer> threads) {
      for (int thread : threads) {
        write(threaded ? "cgroup.threads" : "tasks", Integer.toString(thread));
      }
    }

    @Override
    public synchronized void limit(CpuShare share) {
      if (left || share.equals(current)) {
        return;
      }
      current = share;
      long quota = share.quota().isPresent() ? share.quotaIn(PERIOD) : -1;
      if (threaded) {
        write("cpu.max", (quota < 0 ? "max" : quota) + " " + PERIOD);
        write("cpu.weight", Long.toString(share.weight()));
      } else {
        write("cpu.cfs_period_us", Long.toString(PERIOD));
        write("cpu.cfs_quota_us", Long.toString(quota));
        write("cpu.shares", Long.toString(share.shares()));
      }
    }

    /** A kernel without such a limit runs the sandbox without it. */
    private void write(String file, String text) {
      try {
        Files.writeString(folder(number).resolve(file), text);
      } catch (IOException e) {
        log.warn("cannot write {} to {} of {}: {}", text, file, folder(number), e.toString());
      }
    }

    @Override
    public synchronized void close() {
      if (!left) {
        limit(CpuShare.FREE);
        left = true;
        giveBack(number);
      }
    }
  }
}
