package io.rund.core.sandbox;

import io.rund.core.config.RundConfig;
import io.rund.core.error.RundException;

/**
 * How large a VM is made.
 *
 * @param vcpus at least 1
 * @param memoryBytes guest RAM, a multiple of 2 MiB
 */
record SandboxSize(int vcpus, long memoryBytes) {
  private static final long HUGE_PAGE = 2L << 20;

  /**
   * The VM for a container: its CPU quota, rounded up, and its memory limit plus what the guest
   * needs for itself; the configured defaults where it has none.
   *
   * @throws RundException INVALID_ARGUMENT for a limit below the configured minimum
   */
  static SandboxSize of(OciSpec spec, RundConfig config) {
    long vcpus =
        Math.clamp(
            spec.cpus().orElse(config.defaultVcpus()),
            1,
            Runtime.getRuntime().availableProcessors());
    if (spec.memoryLimit().isEmpty()) {
      return new SandboxSize((int) vcpus, roundUp(config.defaultMemory()));
    }
    long limit = spec.memoryLimit().getAsLong();
    if (limit < config.minMemory()) {
      throw RundException.invalid(
          "memory limit of %d bytes is below %d, the least with which a container starts in a sandbox (min_memory); raise the limit"
              .formatted(limit, config.minMemory()));
    }
    return new SandboxSize((int) vcpus, roundUp(Math.addExact(limit, config.memoryOverhead())));
  }

  private static long roundUp(long bytes) {
    return Math.ceilDiv(bytes, HUGE_PAGE) * HUGE_PAGE;
  }
}
