package io.rund.core.sandbox;

import io.rund.core.config.RundConfig;
import io.rund.core.error.RundException;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * How large a VM is made.
 *
 * @param vcpus at least 1
 * @param memoryBytes guest RAM, a multiple of 2 MiB
 */
record SandboxSize(int vcpus, long memoryBytes) {
  private static final long HUGE_PAGE = 2L << 20;
  private static final String OVERRIDES = "io.rund.";

  // The sums of a pod's limits: containerd pkg/cri/annotations.
  private static final String POD_MEMORY = "io.kubernetes.cri.sandbox-memory";
  private static final String POD_CPU_QUOTA = "io.kubernetes.cri.sandbox-cpu-quota";
  private static final String POD_CPU_PERIOD = "io.kubernetes.cri.sandbox-cpu-period";
  private static final String POD_CPU_SHARES = "io.kubernetes.cri.sandbox-cpu-shares";

  /** Of one CPU (kubelet, MilliCPUToShares). */
  private static final long SHARES_PER_CPU = 1024;

  /**
   * The VM for a container: its CPU quota, rounded up, and its memory limit plus what the guest
   * needs for itself; the configured defaults where it has none. An annotation that the
   * configuration allows overrides both.
   *
   * @throws RundException INVALID_ARGUMENT for a limit below the configured minimum, and for an
   *     annotation that is unknown, not allowed or without sense
   */
  static SandboxSize of(OciSpec spec, RundConfig config) {
    return of(spec, config, spec.memoryLimit(), spec.cpus());
  }

  /**
   * The VM for a pod, by the sums of its containers' limits that its sandbox is annotated with.
   * Without a limit of CPUs it has as many as were requested, if those are more than the default.
   */
  static SandboxSize ofPod(OciSpec spec, RundConfig config) {
    OptionalLong period = spec.number(POD_CPU_PERIOD);
    OptionalLong quota = spec.number(POD_CPU_QUOTA);
    return of(
        spec,
        config,
        spec.number(POD_MEMORY),
        quota.isEmpty()
            ? requested(spec, config)
            : OptionalLong.of(Math.ceilDiv(quota.getAsLong(), period.orElse(100_000))));
  }

  private static OptionalLong requested(OciSpec spec, RundConfig config) {
    long cpus = Math.ceilDiv(spec.number(POD_CPU_SHARES).orElse(0), SHARES_PER_CPU);
    return OptionalLong.of(Math.max(cpus, config.defaultVcpus()));
  }

  private static SandboxSize of(
      OciSpec spec, RundConfig config, OptionalLong memoryLimit, OptionalLong cpus) {
    checkAnnotations(spec, config);
    checkMemoryLimit(memoryLimit, config);
    Optional<Integer> vcpus = spec.annotation(RundConfig.VCPUS_ANNOTATION).map(RundConfig::vcpusOf);
    Optional<Long> memory = spec.annotation(RundConfig.MEMORY_ANNOTATION).map(RundConfig::memoryOf);
    return new SandboxSize(
        vcpus.orElseGet(() -> vcpus(cpus.orElse(config.defaultVcpus()))),
        roundUp(memory.orElseGet(() -> memory(memoryLimit, config))));
  }

  /** Refuses an annotation of ours that is unknown or that the configuration does not allow. */
  static void checkAnnotations(OciSpec spec, RundConfig config) {
    for (Map.Entry<String, String> annotation : spec.annotations(OVERRIDES).entrySet()) {
      if (!config.annotations().contains(annotation.getKey())
          && !annotation.getKey().equals(RundConfig.CLONE_ANNOTATION)) {
        throw RundException.invalid(
            "annotation %s: this node allows %s (annotations in rund.toml)"
                .formatted(
                    annotation.getKey(),
                    config.annotations().isEmpty() ? "none" : config.annotations()));
      }
    }
  }

  /** Refuses a memory limit with which no container starts. */
  static void checkMemoryLimit(OptionalLong limit, RundConfig config) {
    if (limit.orElse(Long.MAX_VALUE) < config.minMemory()) {
      throw RundException.invalid(
          "memory limit of %d bytes is below %d, the least with which a container starts in a sandbox (min_memory); raise the limit"
              .formatted(limit.getAsLong(), config.minMemory()));
    }
  }

  /** Refuses a member's memory limit that its pod's VM cannot give. */
  void checkMember(OptionalLong limit, String containerId) {
    if (limit.orElse(0) > memoryBytes) {
      throw RundException.precondition(
          "memory limit of %d bytes for %s: the VM of its pod has %d bytes; raise the limit of the pod (linux.resources of its sandbox in CRI), or default_memory in rund.toml"
              .formatted(limit.getAsLong(), containerId, memoryBytes));
    }
  }

  private static int vcpus(long wanted) {
    return Math.clamp(wanted, 1, Runtime.getRuntime().availableProcessors());
  }

  private static long memory(OptionalLong limit, RundConfig config) {
    return limit.isEmpty()
        ? config.defaultMemory()
        : Math.addExact(limit.getAsLong(), config.memoryOverhead());
  }

  private static long roundUp(long bytes) {
    return Math.ceilDiv(bytes, HUGE_PAGE) * HUGE_PAGE;
  }
}
