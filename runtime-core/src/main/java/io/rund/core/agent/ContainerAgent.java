package io.rund.core.agent;

import java.util.concurrent.CompletableFuture;

/**
 * Who runs the processes of containers that exist: the agent in the guest, or the engine itself for
 * a pod's pause container. Blocking, called on virtual threads, any number at once.
 *
 * <p>Errors are {@link io.rund.core.error.RundException}s.
 */
public interface ContainerAgent {
  void createExec(ProcessKey exec, byte[] processJson, GuestAgent.StdioPorts stdio);

  /** Runs the program. */
  void start(ProcessKey process);

  /**
   * Completes when the process has ended and its output is on its way; fails when the agent is
   * gone.
   */
  CompletableFuture<ExitStatus> exit(ProcessKey process);

  /**
   * Fails with DEADLINE_EXCEEDED if the guest does not say within half a minute that it has the
   * signal. It may still get it then.
   */
  void signal(ProcessKey process, int signal, boolean all);

  void resizeTerminal(ProcessKey process, int rows, int columns);

  void delete(ProcessKey process);

  void pause(String containerId);

  void resume(String containerId);

  /** {@code resourcesJson} is the linux.resources object of the OCI specification. */
  void update(String containerId, byte[] resourcesJson);

  ContainerStats stats(String containerId);

  /**
   * Completes with the number of processes that were killed for want of memory since the container
   * was made, when it is above {@code seen}; fails when the container or the agent is gone.
   */
  CompletableFuture<Long> oomKills(String containerId, long seen);

  /** A process of a container; an empty {@code execId} is the init. */
  record ProcessKey(String containerId, String execId) {
    public static ProcessKey init(String containerId) {
      return new ProcessKey(containerId, "");
    }
  }

  /** {@code status} is 0 to 255; {@code atNanos} is wall clock since the epoch. */
  record ExitStatus(int status, long atNanos) {}
}
