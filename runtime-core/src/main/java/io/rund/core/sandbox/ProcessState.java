package io.rund.core.sandbox;

/**
 * What is known of a process; containerd's State, flattened.
 *
 * @param pid a pid on the host: the sandbox's anchor
 * @param exitedAtNanos wall clock since the epoch, 0 before the exit
 */
public record ProcessState(
    String containerId,
    String execId,
    String bundle,
    int pid,
    Status status,
    CreateRequest.StdioPaths stdio,
    int exitStatus,
    long exitedAtNanos) {

  /** The life of a process, in the words of containerd's task.Status. */
  public enum Status {
    CREATED,
    RUNNING,
    PAUSED,
    STOPPED
  }
}
