package io.rund.core.sandbox;

import java.util.List;

/** A cgroup of the host for the vCPU threads of one sandbox. Safe for use by several threads. */
interface CpuGroup extends AutoCloseable {
  /** Where the host has no such cgroups: threads stay where they are. */
  CpuGroup NONE =
      new CpuGroup() {
        @Override
        public void enter(List<Integer> threads) {}

        @Override
        public void limit(CpuShare share) {}

        @Override
        public void close() {}
      };

  /** Moves threads of this process into it, by the kernel's ids. */
  void enter(List<Integer> threads);

  void limit(CpuShare share);

  /** Gives it back; its threads have ended. Idempotent. */
  @Override
  void close();
}
