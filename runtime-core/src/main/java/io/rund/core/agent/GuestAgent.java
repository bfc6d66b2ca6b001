package io.rund.core.agent;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The agent in a sandbox, PID 1 of the guest, as the sandbox manager uses it. Methods block until
 * the agent has answered, so they are called on virtual threads; any number at once.
 *
 * <p>Errors are {@link io.rund.core.error.RundException}s with the agent's code and message,
 * UNAVAILABLE when the connection ends, DEADLINE_EXCEEDED when a guest does not answer in time.
 * Answers are guest-made: the implementation checks them before anyone sees them.
 */
public interface GuestAgent {
  /** First call. Sets the guest's clock and host name. */
  Hello hello(String hostname, Duration timeout);

  /**
   * Mounts the root file system and creates the container's init, which then waits for {@link
   * #start}.
   *
   * @param shares names of all shares that the container uses; the agent lets go of them when the
   *     container is deleted
   */
  void createContainer(
      String containerId, byte[] specJson, Rootfs rootfs, List<String> shares, StdioPorts stdio);

  void createExec(ProcessKey exec, byte[] processJson, StdioPorts stdio);

  /** Runs the program. */
  void start(ProcessKey process);

  /**
   * Completes when the process has ended and its output is on its way; fails when the agent is
   * gone.
   */
  CompletableFuture<ExitStatus> exit(ProcessKey process);

  void signal(ProcessKey process, int signal, boolean all);

  void resizeTerminal(ProcessKey process, int rows, int columns);

  void delete(ProcessKey process);

  void pause(String containerId);

  void resume(String containerId);

  ContainerStats stats(String containerId);

  /** Binds the device in a slot to its driver, if it is not; for a disk its numbers are useful. */
  DiskNumber bindSlot(int slot);

  void unbindSlot(int slot);

  /** Completes when the connection has ended, for whatever reason. */
  CompletableFuture<Void> closed();

  /**
   * What the agent says of itself.
   *
   * @param mainNanos guest time since boot when the agent began, nanoseconds
   * @param readyNanos guest time since boot when it connected, nanoseconds
   */
  record Hello(
      String agentVersion,
      String kernelRelease,
      long mainNanos,
      long readyNanos,
      long memoryTotalBytes,
      long memoryAvailableBytes,
      int onlineCpus) {}

  /** A process of a container; an empty {@code execId} is the init. */
  record ProcessKey(String containerId, String execId) {
    public static ProcessKey init(String containerId) {
      return new ProcessKey(containerId, "");
    }
  }

  /** Where a container's root file system is. */
  sealed interface Rootfs permits BlockRootfs, SharedRootfs {}

  /** On the disk in {@code slot}; {@code options} as in mount(8). */
  record BlockRootfs(int slot, String fsType, List<String> options) implements Rootfs {}

  /** A shared directory. */
  record SharedRootfs(String share) implements Rootfs {}

  /** Device numbers in the guest; both are 0 for what is not a disk. */
  record DiskNumber(int major, int minor) {}

  /** The vsock ports on which the engine awaits the streams of a process; 0 is /dev/null. */
  record StdioPorts(boolean terminal, int stdin, int stdout, int stderr) {}

  /** {@code status} is 0 to 255; {@code atNanos} is guest wall clock since the epoch. */
  record ExitStatus(int status, long atNanos) {}
}
