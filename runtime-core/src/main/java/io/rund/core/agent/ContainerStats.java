package io.rund.core.agent;

import java.util.List;
import java.util.Map;

/**
 * A container's cgroup v2 counters, in the units of the kernel's files
 * (Documentation/admin-guide/cgroup-v2.rst): microseconds and bytes. A limit that is "max" is
 * {@code -1L}, the largest unsigned number.
 *
 * @param memoryStat memory.stat by name
 * @param memoryEvents memory.events by name
 */
public record ContainerStats(
    Cpu cpu,
    Memory memory,
    Map<String, Long> memoryStat,
    Map<String, Long> memoryEvents,
    long pidsCurrent,
    long pidsLimit,
    List<Io> io) {
  /** cpu.stat. */
  public record Cpu(
      long usageUsec,
      long userUsec,
      long systemUsec,
      long periods,
      long throttledPeriods,
      long throttledUsec) {}

  /** memory.current, .max and .peak, and the same of swap. */
  public record Memory(
      long usageBytes,
      long limitBytes,
      long peakBytes,
      long swapUsageBytes,
      long swapLimitBytes,
      long swapPeakBytes) {}

  /** One line of io.stat. */
  public record Io(
      long major, long minor, long readBytes, long writtenBytes, long reads, long writes) {}
}
