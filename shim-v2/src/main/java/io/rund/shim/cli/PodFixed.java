package io.rund.shim.cli;

import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What a RuntimeClass should declare as overhead.podFixed, in Kubernetes' quantities.
 *
 * @param memory what a VM has beside its containers' limits, and what the host spends beyond VMs
 * @param cpu what the engine takes outside of its guests, for each sandbox
 */
record PodFixed(String memory, String cpu) {
  private static final long MIB = 1 << 20;

  /** Steps of the CPU's quantity; also the least that is declared. */
  private static final long MILLIS_STEP = 10;

  // Fields of /proc/PID/stat, counted from the one after the name (proc(5): 14, 15 and 43).
  private static final int UTIME = 11;
  private static final int STIME = 12;
  private static final int GUEST_TIME = 40;

  /** USER_HZ. */
  private static final long TICKS_PER_SECOND = 100;

  /**
   * @param memoryOverhead what VMs get on top of limits, in bytes
   * @param cpuMillis of each sandbox, as measured
   */
  static PodFixed of(long memoryOverhead, List<Overhead> sandboxes, double cpuMillis) {
    long beyond = sandboxes.stream().mapToLong(one -> one.host().beyondGuestRam()).max().orElse(0);
    long mebibytes = Math.ceilDiv(memoryOverhead + beyond, MIB);
    long millis = MILLIS_STEP * Math.max(1, (long) Math.ceil(cpuMillis / MILLIS_STEP));
    return new PodFixed(mebibytes + "Mi", millis + "m");
  }

  /** CPU time that a process has used outside of guests, in milliseconds. */
  static long cpuMillis(Path proc) {
    try {
      String stat = Files.readString(proc.resolve("stat"));
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
      long ticks =
          Long.parseLong(fields[UTIME])
              + Long.parseLong(fields[STIME])
              - Long.parseLong(fields[GUEST_TIME]);
      return ticks * 1000 / TICKS_PER_SECOND;
    } catch (IOException e) {
      throw RundException.unavailable("cannot read the CPU time of %s: %s".formatted(proc, e), e);
    }
  }
}
