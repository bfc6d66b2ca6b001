package io.rund.e2e;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Everything that a sandbox may leave on its host, counted: processes, threads and descriptors of
 * the engine, memfds, mounts, device-mapper and loop devices, files, cgroups, network namespaces,
 * containers.
 */
record HostState(Map<String, Integer> counts) {
  private static final Duration TIMEOUT = Duration.ofMinutes(2);

  /**
   * Ends of sandboxes are seen by containerd before the last of their threads has gone, and a
   * template may just be in the making.
   */
  private static final Duration PATIENCE = Duration.ofSeconds(90);

  /** Threads that the JVM and its libraries start and end as they like. */
  private static final Pattern JVM_THREADS =
      Pattern.compile(
          "(java|C[12] Comp|G1 |GC Thread|VM |ForkJoinPool|Signal Disp|Finalizer|Reference"
              + " Ha|Common-Clean|Notification|Service Thre|Monitor Defl|Attach Liste|process"
              + " reap|VirtualThread|Read-Poller|Write-Poller|Cleaner-|CompletableFu|JNA"
              + " Cleaner|StringDedup|JFR |Unblocker).*");

  static HostState take() {
    Result result = Lab.script(TIMEOUT, "host_state").expectExit(0);
    Map<String, Integer> counts = new TreeMap<>();
    result.out().lines().map(HostState::item).forEach(item -> counts.merge(item, 1, Integer::sum));
    counts.keySet().removeIf(String::isEmpty);
    // Each process names the one it is in; how many there are is what counts.
    int namespaces =
        (int) counts.keySet().stream().filter(item -> item.startsWith("network namespace")).count();
    counts.keySet().removeIf(item -> item.startsWith("network namespace"));
    counts.put("network namespaces", namespaces);
    return new HostState(counts);
  }

  /** What there is when nothing changes any more: VMs are made in advance, and threads end. */
  static HostState settled() {
    long end = System.nanoTime() + PATIENCE.toNanos();
    HostState before = take();
    HostState now = take();
    while (!now.equals(before) && System.nanoTime() < end) {
      before = now;
      now = take();
    }
    return now;
  }

  /** A line without what differs from one time to the next; empty for what does not matter. */
  private static String item(String line) {
    String[] parts = line.split("\t", 2);
    if (parts[1].contains("memfd:rund-template")) {
      return ""; // The engine's own, made when it likes; TemplatesTest counts them.
    }
    if (parts[0].equals("cgroup")) {
      // Those of an engine have its pid and a number.
      return "cgroup " + parts[1].replaceAll("/\\d+-\\d+$", "/N");
    }
    if (!parts[0].equals("thread")) {
      return parts[0] + " " + parts[1];
    }
    return JVM_THREADS.matcher(parts[1]).matches()
        ? ""
        : "thread " + parts[1].replaceAll("\\d+$", "N");
  }

  /** What there is more of than there was {@code before}. */
  List<String> moreThan(HostState before) {
    List<String> more = new ArrayList<>();
    counts.forEach(
        (item, count) -> {
          int was = before.counts.getOrDefault(item, 0);
          if (count > was) {
            more.add("%s: %d, was %d".formatted(item, count, was));
          }
        });
    return more;
  }

  /** Asserts that nothing is left that was not there {@code before}; waits for what is leaving. */
  static void assertNothingLeft(HostState before) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    List<String> left = take().moreThan(before);
    while (!left.isEmpty() && System.nanoTime() < end) {
      left = take().moreThan(before);
    }
    if (!left.isEmpty()) {
      throw new AssertionError("left behind on the host:\n  " + String.join("\n  ", left));
    }
  }
}
