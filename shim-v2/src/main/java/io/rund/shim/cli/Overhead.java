package io.rund.shim.cli;

import io.rund.core.hypervisor.AddressRange;
import io.rund.shim.wire.engine.Footprint;
import io.rund.shim.wire.engine.FootprintResponse;
import java.nio.file.Path;
import java.util.List;

/**
 * What one sandbox costs, in bytes.
 *
 * @param host on the host, by part
 * @param guest inside, by part
 */
record Overhead(String namespace, String id, Host host, Guest guest) {
  /** THREAD_SIZE of the host's kernel on x86-64. */
  private static final long KERNEL_STACK = 16 << 10;

  /**
   * What the host spends.
   *
   * @param guestRam touched by the guest, in proportional shares
   * @param anchors the processes that stand for the sandbox and its containers
   * @param engineShare the engine's memory without all guests' RAM, divided by its sandboxes
   * @param pageTables the engine's, likewise divided
   * @param kernelStacks of the vCPUs' threads and the anchors, counted
   * @param beyondGuestRam all but the first
   */
  record Host(
      long guestRam,
      long anchors,
      long engineShare,
      long pageTables,
      long kernelStacks,
      long beyondGuestRam) {}

  /**
   * What the guest has for itself.
   *
   * @param memory the VM's
   * @param kernelReserved what its kernel took before it counted (memory without MemTotal)
   * @param kernelAndAgent what was not available when the agent was ready and nothing else ran
   * @param left for containers
   */
  record Guest(long memory, long kernelReserved, long kernelAndAgent, long left) {
    long overhead() {
      return memory - left;
    }
  }

  /** Measures all sandboxes of one engine. */
  static List<Overhead> measure(Path procfs, FootprintResponse engine) {
    List<AddressRange> all =
        engine.getSandboxesList().stream().flatMap(one -> ranges(one).stream()).toList();
    ProcessMemory memory = ProcessMemory.of(procfs.resolve(Integer.toString(engine.getPid())), all);
    int count = Math.max(1, engine.getSandboxesCount());
    return engine.getSandboxesList().stream().map(one -> of(procfs, one, memory, count)).toList();
  }

  private static Overhead of(Path procfs, Footprint one, ProcessMemory engine, int count) {
    long ram = ranges(one).stream().mapToLong(engine.ranges()::get).sum();
    long anchors =
        one.getAnchorsList().stream()
            .map(pid -> procfs.resolve(pid.toString()))
            .mapToLong(process -> ProcessMemory.of(process, List.of()).total())
            .sum();
    long stacks = KERNEL_STACK * (one.getVcpus() + one.getAnchorsCount());
    long share = engine.rest() / count;
    long tables = engine.pageTables() / count;
    return new Overhead(
        one.getNamespace(),
        one.getId(),
        new Host(ram, anchors, share, tables, stacks, anchors + share + tables + stacks),
        new Guest(
            one.getMemoryBytes(),
            one.getMemoryBytes() - one.getGuestTotalBytes(),
            one.getGuestTotalBytes() - one.getGuestAvailableBytes(),
            one.getGuestAvailableBytes()));
  }

  private static List<AddressRange> ranges(Footprint sandbox) {
    return sandbox.getRamList().stream()
        .map(range -> new AddressRange(range.getStart(), range.getEnd()))
        .toList();
  }
}
