package io.rund.core.sandbox;

import io.rund.core.agent.ContainerAgent;
import io.rund.core.agent.ContainerAgent.ProcessKey;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Linux;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The end of a container, in whatever state. */
final class GuestEnd {
  /** How long a killed container may take to end, and then what else is at work in it. */
  private static final Duration BOUND = Duration.ofSeconds(30);

  private static final Duration PAUSE = Duration.ofMillis(20);

  private GuestEnd() {}

  /** Kills the container, if it is there, and takes it out of its guest. Never fails. */
  static void of(String id, ContainerAgent agent) {
    ProcessKey init = ProcessKey.init(id);
    try {
      agent.signal(init, Linux.SIGKILL, true);
      var _ = agent.exit(init).get(BOUND.toSeconds(), TimeUnit.SECONDS);
      delete(init, agent);
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND && e.code() != ErrorCode.UNAVAILABLE) {
        Sandbox.log.warn("container {} may still be in its sandbox: {}", id, e.getMessage());
      }
    } catch (ExecutionException | TimeoutException e) {
      Sandbox.log.warn("container {} does not end in its sandbox: {}", id, e.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The agent refuses while an exec is just starting. */
  private static void delete(ProcessKey init, ContainerAgent agent) throws InterruptedException {
    long end = System.nanoTime() + BOUND.toNanos();
    while (true) {
      try {
        agent.delete(init);
        return;
      } catch (RundException e) {
        if (e.code() != ErrorCode.FAILED_PRECONDITION || System.nanoTime() - end > 0) {
          throw e;
        }
      }
      Thread.sleep(PAUSE);
    }
  }
}
