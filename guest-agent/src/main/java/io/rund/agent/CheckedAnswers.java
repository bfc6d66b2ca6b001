package io.rund.agent;

import io.rund.agent.wire.BindSlotResponse;
import io.rund.agent.wire.HelloResponse;
import io.rund.agent.wire.IoStat;
import io.rund.agent.wire.StatsResponse;
import io.rund.agent.wire.WaitResponse;
import io.rund.core.agent.ContainerAgent.ExitStatus;
import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent.DiskNumber;
import io.rund.core.agent.GuestAgent.Hello;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The door for what a guest answers: everything that goes on is in range, printable and of bounded
 * size.
 */
final class CheckedAnswers {
  private static final int MAX_TEXT = 128;
  private static final int MAX_COUNTERS = 256;
  private static final int MAX_DISKS = 64;

  private CheckedAnswers() {}

  static Hello hello(HelloResponse answer) {
    return new Hello(
        text(answer.getAgentVersion()),
        text(answer.getKernelRelease()),
        Math.max(0, answer.getMainNanos()),
        Math.max(0, answer.getReadyNanos()),
        Math.max(0, answer.getMemoryTotalBytes()),
        Math.max(0, answer.getMemoryAvailableBytes()),
        Math.clamp(answer.getOnlineCpus(), 0, 4096));
  }

  static ExitStatus exit(WaitResponse answer) {
    return new ExitStatus(answer.getExitStatus() & 0xff, Math.max(0, answer.getExitedAtNanos()));
  }

  /** Linux has no pid above 2^22 (include/linux/threads.h, PID_MAX_LIMIT). */
  static int pid(int answered) {
    return Math.clamp(answered, 1, 1 << 22);
  }

  /** Linux has 12 bits of major and 20 of minor number (include/linux/kdev_t.h). */
  static DiskNumber disk(BindSlotResponse answer) {
    return new DiskNumber(answer.getMajor() & 0xfff, answer.getMinor() & 0xfffff);
  }

  static ContainerStats stats(StatsResponse answer) {
    return new ContainerStats(
        new ContainerStats.Cpu(
            answer.getCpuUsageUsec(),
            answer.getCpuUserUsec(),
            answer.getCpuSystemUsec(),
            answer.getCpuPeriods(),
            answer.getCpuThrottledPeriods(),
            answer.getCpuThrottledUsec()),
        new ContainerStats.Memory(
            answer.getMemoryUsageBytes(),
            answer.getMemoryLimitBytes(),
            answer.getMemoryPeakBytes(),
            answer.getSwapUsageBytes(),
            answer.getSwapLimitBytes(),
            answer.getSwapPeakBytes()),
        counters(answer.getMemoryStatMap()),
        counters(answer.getMemoryEventsMap()),
        answer.getPidsCurrent(),
        answer.getPidsLimit(),
        disks(answer.getIoList()));
  }

  private static Map<String, Long> counters(Map<String, Long> answered) {
    Map<String, Long> checked = new TreeMap<>();
    answered.entrySet().stream()
        .limit(MAX_COUNTERS)
        .forEach(entry -> checked.put(text(entry.getKey()), entry.getValue()));
    return checked;
  }

  private static List<ContainerStats.Io> disks(List<IoStat> answered) {
    return answered.stream()
        .limit(MAX_DISKS)
        .map(
            io ->
                new ContainerStats.Io(
                    io.getMajor(),
                    io.getMinor(),
                    io.getReadBytes(),
                    io.getWrittenBytes(),
                    io.getReads(),
                    io.getWrites()))
        .toList();
  }

  private static String text(String answered) {
    return answered
        .substring(0, Math.min(MAX_TEXT, answered.length()))
        .replaceAll("[^\\x20-\\x7e]", "?");
  }
}
