package io.rund.shim.containerd;

import com.google.protobuf.Descriptors.FieldDescriptor;
import io.rund.core.agent.ContainerStats;
import io.rund.shim.wire.cgroups.CPUStat;
import io.rund.shim.wire.cgroups.IOEntry;
import io.rund.shim.wire.cgroups.IOStat;
import io.rund.shim.wire.cgroups.MemoryEvents;
import io.rund.shim.wire.cgroups.MemoryStat;
import io.rund.shim.wire.cgroups.Metrics;
import io.rund.shim.wire.cgroups.PidsStat;
import java.util.Map;

/** A container's counters as io.containerd.cgroups.v2.Metrics. */
final class MetricsWire {
  private MetricsWire() {}

  static Metrics metrics(ContainerStats stats) {
    return Metrics.newBuilder()
        .setPids(PidsStat.newBuilder().setCurrent(stats.pidsCurrent()).setLimit(stats.pidsLimit()))
        .setCpu(
            CPUStat.newBuilder()
                .setUsageUsec(stats.cpu().usageUsec())
                .setUserUsec(stats.cpu().userUsec())
                .setSystemUsec(stats.cpu().systemUsec())
                .setNrPeriods(stats.cpu().periods())
                .setNrThrottled(stats.cpu().throttledPeriods())
                .setThrottledUsec(stats.cpu().throttledUsec()))
        .setMemory(memory(stats))
        .setMemoryEvents(memoryEvents(stats.memoryEvents()))
        .setIo(io(stats))
        .build();
  }

  /**
   * Fields have the names of memory.stat, but for usage and limits, which have files of their own.
   */
  private static MemoryStat memory(ContainerStats stats) {
    MemoryStat.Builder memory = MemoryStat.newBuilder();
    for (FieldDescriptor field : MemoryStat.getDescriptor().getFields()) {
      Long value = stats.memoryStat().get(field.getName());
      if (value != null) {
        memory.setField(field, value);
      }
    }
    return memory
        .setUsage(stats.memory().usageBytes())
        .setUsageLimit(stats.memory().limitBytes())
        .setMaxUsage(stats.memory().peakBytes())
        .setSwapUsage(stats.memory().swapUsageBytes())
        .setSwapLimit(stats.memory().swapLimitBytes())
        .setSwapMaxUsage(stats.memory().swapPeakBytes())
        .build();
  }

  private static MemoryEvents memoryEvents(Map<String, Long> events) {
    return MemoryEvents.newBuilder()
        .setLow(events.getOrDefault("low", 0L))
        .setHigh(events.getOrDefault("high", 0L))
        .setMax(events.getOrDefault("max", 0L))
        .setOom(events.getOrDefault("oom", 0L))
        .setOomKill(events.getOrDefault("oom_kill", 0L))
        .build();
  }

  private static IOStat io(ContainerStats stats) {
    IOStat.Builder io = IOStat.newBuilder();
    for (ContainerStats.Io device : stats.io()) {
      io.addUsage(
          IOEntry.newBuilder()
              .setMajor(device.major())
              .setMinor(device.minor())
              .setRbytes(device.readBytes())
              .setWbytes(device.writtenBytes())
              .setRios(device.reads())
              .setWios(device.writes()));
    }
    return io.build();
  }
}
