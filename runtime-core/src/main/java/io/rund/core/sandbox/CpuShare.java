package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import io.rund.core.error.RundException;
import java.util.OptionalLong;

/**
 * What a sandbox may take of the host's CPUs: the container's limits, or the sums of a pod's.
 *
 * @param quota microseconds of CPU in each {@link #PERIOD}; without one there is no bound
 * @param shares as cgroup v1 counts them, 1024 by default
 */
record CpuShare(OptionalLong quota, long shares) {
  /** Microseconds. */
  static final long PERIOD = 100_000;

  private static final long DEFAULT_SHARES = 1024;

  /** The kernel takes no smaller ones (kernel/sched/core.c). */
  private static final long LEAST_QUOTA = 1000;

  private static final long LEAST_SHARES = 2;

  /** A tenth of a CPU. */
  private static final long OVERHEAD = PERIOD / 10;

  /** No bound, and the weight of everybody. */
  static final CpuShare FREE = new CpuShare(OptionalLong.empty(), DEFAULT_SHARES);

  // The sums of a pod's limits: containerd pkg/cri/annotations.
  private static final String POD = "io.kubernetes.cri.sandbox-cpu-";

  /** That of the specification of a container that is alone, or of a pod's sandbox. */
  static CpuShare of(OciSpec spec) {
    if (PodRole.of(spec) instanceof PodRole.PodSandbox) {
      return new CpuShare(
          quota(spec.number(POD + "quota"), spec.number(POD + "period")),
          spec.number(POD + "shares").orElse(DEFAULT_SHARES));
    }
    return FREE.with(spec.cpu());
  }

  /** This one, changed as linux.resources.cpu of the OCI specification says. */
  CpuShare with(JsonNode cpu) {
    OptionalLong newQuota =
        cpu.hasNonNull("quota")
            ? quota(positive(cpu.path("quota")), positive(cpu.path("period")))
            : quota;
    return new CpuShare(newQuota, positive(cpu.path("shares")).orElse(shares));
  }

  /**
   * Refuses a larger quota than before that the VM's CPUs cannot give.
   *
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION
   */
  void checkGrowth(CpuShare before, int vcpus, String containerId) {
    long most = vcpus * PERIOD;
    if (quota.orElse(0) > Math.max(most, before.quota.orElse(Long.MAX_VALUE))) {
      throw RundException.precondition(
          "CPU limit of %d us in %d us for %s: its sandbox was made with %d vCPUs and cannot grow; raise the limit of the pod and start it anew"
              .formatted(quota.getAsLong(), PERIOD, containerId, vcpus));
    }
  }

  /** That of a pod with a container that has no quota: none. */
  CpuShare withMember(CpuShare member) {
    return member.quota.isEmpty() ? new CpuShare(OptionalLong.empty(), shares) : this;
  }

  /** That of a pod after the share of one of its containers has changed. */
  CpuShare changed(CpuShare before, CpuShare after) {
    OptionalLong sum = quota;
    if (quota.isPresent() && after.quota.isEmpty() && before.quota.isPresent()) {
      sum = OptionalLong.empty();
    } else if (quota.isPresent() && before.quota.isPresent()) {
      sum =
          OptionalLong.of(
              Math.max(
                  LEAST_QUOTA,
                  quota.getAsLong() - before.quota.getAsLong() + after.quota.getAsLong()));
    }
    return new CpuShare(sum, Math.max(LEAST_SHARES, shares - before.shares + after.shares));
  }

  /** cpu.weight of cgroup v2 for the shares of v1, as runc and crun convert them. */
  long weight() {
    return 1 + (Math.clamp(shares, 2L, 262_144L) - 2) * 9999 / 262_142;
  }

  /** The quota, which there is, for a period of so many microseconds. */
  long quotaIn(long period) {
    return Math.max(LEAST_QUOTA, quota.orElseThrow() * period / PERIOD);
  }

  /** With room for what the guest's own kernel and agent take. */
  CpuShare withOverhead() {
    return quota.isEmpty()
        ? this
        : new CpuShare(OptionalLong.of(quota.getAsLong() + OVERHEAD), shares);
  }

  private static OptionalLong quota(OptionalLong quota, OptionalLong period) {
    return quota.isEmpty()
        ? quota
        : OptionalLong.of(
            Math.max(
                LEAST_QUOTA,
                Math.round((double) quota.getAsLong() / period.orElse(PERIOD) * PERIOD)));
  }

  private static OptionalLong positive(JsonNode number) {
    return number.asLong() > 0 ? OptionalLong.of(number.asLong()) : OptionalLong.empty();
  }
}
