package io.rund.core.sandbox;

import io.rund.core.agent.ContainerAgent;
import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent.StdioPorts;
import io.rund.core.error.RundException;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * A pod's pause container. Where namespaces make a pod, a process has to hold them; here the VM is
 * the pod, so the process is only remembered, and costs nothing.
 */
final class PauseProcess implements ContainerAgent {
  /** CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH: they do not end a process (signal(7)). */
  private static final Set<Integer> HARMLESS = Set.of(17, 18, 19, 20, 21, 22, 23, 28);

  private static final int MAX_SIGNAL = 64;

  private final Supplier<ContainerStats> stats;
  private final CompletableFuture<ExitStatus> exit = new CompletableFuture<>();

  /** Its own counters are those of the sandbox, {@code stats}. */
  PauseProcess(Supplier<ContainerStats> stats) {
    this.stats = stats;
  }

  @Override
  public void createExec(ProcessKey exec, byte[] processJson, StdioPorts stdio) {
    throw RundException.precondition(
        "cannot run exec %s in %s: it is the sandbox of a pod, which has no process of its own to run beside; use a container of the pod"
            .formatted(exec.execId(), exec.containerId()));
  }

  @Override
  public void start(ProcessKey process) {}

  @Override
  public CompletableFuture<ExitStatus> exit(ProcessKey process) {
    return exit;
  }

  @Override
  public void signal(ProcessKey process, int signal, boolean all) {
    if (signal < 1 || signal > MAX_SIGNAL) {
      throw RundException.invalid("there is no signal " + signal);
    }
    if (!HARMLESS.contains(signal)) {
      exit.complete(new ExitStatus(128 + signal, WallClock.nanos()));
    }
  }

  @Override
  public void resizeTerminal(ProcessKey process, int rows, int columns) {}

  @Override
  public void delete(ProcessKey process) {}

  @Override
  public void pause(String containerId) {}

  @Override
  public void resume(String containerId) {}

  /** The limits of a pod are those of its VM on the host. */
  @Override
  public void update(String containerId, byte[] resourcesJson) {}

  @Override
  public ContainerStats stats(String containerId) {
    return stats.get();
  }

  @Override
  public CompletableFuture<Long> oomKills(String containerId, long seen) {
    return new CompletableFuture<>();
  }
}
