package io.rund.core.sandbox;

import io.rund.core.agent.ContainerAgent;
import io.rund.core.agent.ContainerAgent.ExitStatus;
import io.rund.core.agent.ContainerAgent.ProcessKey;
import io.rund.core.error.RundException;
import io.rund.core.linux.Linux;
import io.rund.core.sandbox.ProcessState.Status;
import io.rund.core.stdio.ProcessIo;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * A process of a container, the init or an exec: its state machine, and the only place that reports
 * its start and its exit, each once and in this order. Safe for use by several threads.
 */
final class ContainerProcess {
  /** A program that was killed and has not ended by then is held by a guest that is broken. */
  private static final Duration KILL_BOUND = Duration.ofMinutes(2);

  private enum Phase {
    CREATED,
    STARTING,
    RUNNING,
    STOPPED
  }

  private final Container container;
  private final ProcessKey key;
  private final ProcessIo io;
  private final CompletableFuture<ProcessState> stopped = new CompletableFuture<>();
  private Phase phase = Phase.CREATED;

  /** The exit of a process that ended before its start was reported. */
  private ExitStatus earlyExit;

  private ExitStatus exit;

  ContainerProcess(Container container, ProcessKey key, ProcessIo io) {
    this.container = container;
    this.key = key;
    this.io = io;
  }

  ProcessIo io() {
    return io;
  }

  boolean isInit() {
    return key.execId().isEmpty();
  }

  /** It runs, as others have started it. */
  synchronized void goesOn() {
    phase = Phase.RUNNING;
  }

  /** Runs the program. A process that could not be started may be deleted or started again. */
  void start(ContainerAgent agent) {
    synchronized (this) {
      if (phase != Phase.CREATED) {
        throw RundException.precondition(
            "cannot start " + this + ": it is " + status().name().toLowerCase(Locale.ROOT));
      }
      phase = Phase.STARTING;
    }
    try {
      agent.start(key);
    } catch (RundException e) {
      synchronized (this) {
        if (phase == Phase.STARTING) {
          phase = Phase.CREATED;
          if (earlyExit != null) {
            stop(earlyExit);
          }
        }
      }
      throw e;
    }
    synchronized (this) {
      if (phase == Phase.STARTING) {
        phase = Phase.RUNNING;
        container.publishStarted(key.execId());
        if (earlyExit != null) {
          stop(earlyExit);
        }
      } else if (phase == Phase.STOPPED) {
        throw RundException.precondition(
            this + " has ended with its sandbox while it was being started");
      }
    }
  }

  /** Learns of the exit from the agent, when it comes. */
  void watch(ContainerAgent agent) {
    var _ =
        agent
            .exit(key)
            .whenComplete(
                (status, failure) -> {
                  if (failure == null) {
                    exited(status);
                  } else if (!container.sandbox().agent().closed().isDone()) {
                    unwatched(failure);
                  }
                  // Else the agent is gone: the end of the sandbox says the rest.
                });
  }

  /** The guest does not tell of the end, which nobody could wait for any more. */
  private void unwatched(Throwable failure) {
    if (isInit()) {
      container.sandbox().giveUp(this + " cannot be watched: " + failure.getMessage());
    } else {
      Sandbox.log.warn("{} cannot be watched: {}", this, failure.getMessage());
      lost(Container.killed());
    }
  }

  /** The process has ended, or its sandbox has. Later calls change nothing. */
  synchronized void exited(ExitStatus status) {
    if (phase == Phase.STARTING) {
      earlyExit = status;
    } else {
      stop(status);
    }
  }

  /**
   * As {@link #exited}, for a sandbox that is no more: a start that hangs no longer delays the
   * report.
   */
  void lost(ExitStatus status) {
    synchronized (this) {
      stop(status);
    }
    io.close();
  }

  private void stop(ExitStatus status) {
    if (phase == Phase.STOPPED) {
      return;
    }
    boolean reportable = phase == Phase.RUNNING || isInit();
    phase = Phase.STOPPED;
    exit = status;
    if (reportable) {
      container.publishExited(key.execId(), status);
    }
    stopped.complete(state());
  }

  /**
   * Returns also when the guest does not answer: the signal is on its way then, as to a process
   * that is stopped. But SIGKILL to an init ends the sandbox whose guest does not answer, or says
   * that it is done and tells of no end.
   */
  void signal(ContainerAgent agent, int signal, boolean all) {
    synchronized (this) {
      if (phase == Phase.STOPPED) {
        throw RundException.notFound(this + ": process already finished");
      }
      if (phase == Phase.CREATED && !isInit()) {
        throw RundException.precondition("cannot signal " + this + ": it has not been started");
      }
    }
    try {
      agent.signal(key, signal, all);
    } catch (RundException e) {
      switch (e.code()) {
        case NOT_FOUND -> throw RundException.notFound(this + ": process already finished");
        case DEADLINE_EXCEEDED -> unanswered(signal, e);
        default -> throw e;
      }
    }
    if (signal == Linux.SIGKILL && isInit()) {
      expectEnd(KILL_BOUND);
    }
  }

  /** Else a guest could keep its pod from ever being deleted. */
  void expectEnd(Duration bound) {
    var _ =
        stopped
            .copy()
            .orTimeout(bound.toMillis(), TimeUnit.MILLISECONDS)
            .exceptionally(
                late -> {
                  container.sandbox().giveUp(this + " was killed and has not ended");
                  return null;
                });
  }

  private void unanswered(int signal, RundException reason) {
    if (signal == Linux.SIGKILL && isInit()) {
      container.sandbox().giveUp(this + " cannot be killed: " + reason.getMessage());
    } else {
      Sandbox.log.warn("signal {} to {}: {}", signal, this, reason.getMessage());
    }
  }

  ProcessState await() throws InterruptedException {
    try {
      return stopped.get();
    } catch (ExecutionException e) {
      throw new AssertionError("never completed exceptionally", e);
    }
  }

  /** Whether it may be deleted: it does not run. */
  synchronized void assertDeletable() {
    if (phase == Phase.RUNNING || phase == Phase.STARTING) {
      throw RundException.precondition("cannot delete " + this + ": it is running; kill it first");
    }
  }

  synchronized ProcessState state() {
    return new ProcessState(
        container.request().id(),
        key.execId(),
        container.request().bundle().toString(),
        container.pid(),
        status(),
        io.paths(),
        exit == null ? 0 : exit.status(),
        exit == null ? 0 : exit.atNanos());
  }

  private synchronized Status status() {
    return switch (phase) {
      case CREATED, STARTING -> Status.CREATED;
      case RUNNING -> container.paused() ? Status.PAUSED : Status.RUNNING;
      case STOPPED -> Status.STOPPED;
    };
  }

  @Override
  public String toString() {
    String id = container.request().id();
    return isInit() ? "container " + id : "exec " + key.execId() + " of container " + id;
  }
}
