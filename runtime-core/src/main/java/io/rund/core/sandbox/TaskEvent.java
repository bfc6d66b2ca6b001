package io.rund.core.sandbox;

/** What happens to containers and processes, in the order in which it happens. */
public sealed interface TaskEvent {
  /** The containerd namespace of the container. */
  String namespace();

  String containerId();

  record Created(String namespace, String containerId, CreateRequest request, int pid)
      implements TaskEvent {}

  record Started(String namespace, String containerId, int pid) implements TaskEvent {}

  record ExecAdded(String namespace, String containerId, String execId) implements TaskEvent {}

  record ExecStarted(String namespace, String containerId, String execId, int pid)
      implements TaskEvent {}

  /** {@code execId} is empty for the init. {@code exitedAtNanos} is wall clock since the epoch. */
  record Exited(
      String namespace,
      String containerId,
      String execId,
      int pid,
      int exitStatus,
      long exitedAtNanos)
      implements TaskEvent {}

  record Deleted(String namespace, String containerId, int pid, int exitStatus, long exitedAtNanos)
      implements TaskEvent {}

  /** The kernel has killed a process of the container for want of memory. */
  record OutOfMemory(String namespace, String containerId) implements TaskEvent {}

  record Paused(String namespace, String containerId) implements TaskEvent {}

  record Resumed(String namespace, String containerId) implements TaskEvent {}
}
