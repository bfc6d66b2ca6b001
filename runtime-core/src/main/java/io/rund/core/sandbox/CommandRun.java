package io.rund.core.sandbox;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Linux;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** One more program in a container, from its start to its end. */
final class CommandRun {
  private CommandRun() {}

  /**
   * Runs a program as the container's own is run, on no terminal.
   *
   * @param abandoned ends it
   * @return its exit status
   */
  static int run(
      Container container,
      List<String> arguments,
      CreateRequest.StdioPaths stdio,
      CompletableFuture<Void> abandoned)
      throws InterruptedException {
    String execId = "run-" + UUID.randomUUID();
    container.exec(execId, OciSpec.read(container.request().bundle()).process(arguments), stdio);
    try {
      container.start(execId);
      var _ = abandoned.thenRunAsync(() -> kill(container, execId), Thread::startVirtualThread);
      return container.process(execId).await().exitStatus();
    } finally {
      var _ = container.deleteExec(execId);
    }
  }

  private static void kill(Container container, String execId) {
    try {
      container.kill(execId, Linux.SIGKILL, false);
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND && e.code() != ErrorCode.UNAVAILABLE) {
        Sandbox.log.warn("exec {}: {}", execId, e.getMessage());
      }
    }
  }
}
