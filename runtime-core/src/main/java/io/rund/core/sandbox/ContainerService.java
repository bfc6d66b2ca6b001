package io.rund.core.sandbox;

import io.rund.core.agent.ContainerStats;
import io.rund.core.hypervisor.Pool;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Everything that can be asked of a container; implemented by the sandbox manager, called by
 * containerd's Task service and by the command line. Blocking; called on virtual threads. An empty
 * {@code execId} is the init.
 *
 * <p>Errors are {@link io.rund.core.error.RundException}: NOT_FOUND for unknown ids,
 * ALREADY_EXISTS, FAILED_PRECONDITION for a state that does not allow the call.
 */
public interface ContainerService {
  /**
   * Creates the container's init, in a sandbox of its own or in that of its pod, which must exist.
   * Returns its pid on the host.
   *
   * <p>Waits for a turn when more sandboxes are to boot than there are CPUs. {@code abandoned}
   * completes when nobody waits for the answer any more, and so does {@link #destroy}'s call: a
   * creation that still waits for its turn then fails with DEADLINE_EXCEEDED.
   */
  int create(CreateRequest request, CompletableFuture<Void> abandoned);

  /** The same for a caller that waits as long as it takes. */
  default int create(CreateRequest request) {
    return create(request, new CompletableFuture<>());
  }

  int start(String namespace, String id, String execId);

  /** {@code processJson} is the OCI process object. */
  void exec(
      String namespace,
      String id,
      String execId,
      byte[] processJson,
      CreateRequest.StdioPaths stdio);

  ProcessState state(String namespace, String id, String execId);

  void kill(String namespace, String id, String execId, int signal, boolean all);

  /** Blocks until the process has ended; at once if it has. */
  ProcessState await(String namespace, String id, String execId) throws InterruptedException;

  /**
   * Forgets a stopped process, and for an init the container; with the first container of a sandbox
   * goes the sandbox, and what still runs in it ends. Returns the last state.
   *
   * <p>A deleted container holds nothing and is not listed, but its last state is known until it is
   * destroyed or created anew, or for some minutes: for a client whose call ended before the answer
   * came.
   */
  ProcessState delete(String namespace, String id, String execId);

  /** All processes of the container that the engine knows, the init first. */
  List<ProcessState> processes(String namespace, String id);

  void closeStdin(String namespace, String id, String execId);

  void resizeTerminal(String namespace, String id, String execId, int rows, int columns);

  void pause(String namespace, String id);

  void resume(String namespace, String id);

  /**
   * Changes limits. {@code resourcesJson} is the linux.resources object of the OCI specification;
   * FAILED_PRECONDITION for a memory limit that the VM cannot give.
   */
  void update(String namespace, String id, byte[] resourcesJson);

  ContainerStats stats(String namespace, String id);

  /**
   * Ends and forgets a container in whatever state, for `delete` of the shim binary and for a
   * client that has got the answer to a deletion. Idempotent.
   */
  ProcessState destroy(String namespace, String id);

  /**
   * Writes a sandbox of one container, which runs and runs on, into a folder.
   *
   * @param target absolute; nothing of that name is there
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION for a sandbox that has more than a
   *     snapshot can hold, ALREADY_EXISTS for the folder; nothing is left then
   */
  void snapshot(String namespace, String id, Path target);

  /**
   * Goes on with a snapshot as a container that is none of containerd's: no event tells of it, and
   * it is there until {@link #remove}. Returns its pid on the host.
   *
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION for a snapshot that is damaged or
   *     of no use on this host, or whose files of the host are gone
   */
  int restore(Path source, RestoredContainer made, CompletableFuture<Void> abandoned);

  /** As {@link #snapshot} and {@link #restore}, in memory. */
  int clone(String namespace, String id, RestoredContainer made, CompletableFuture<Void> abandoned);

  /**
   * Runs one more program in a container, as its own is run, and waits for its end. Returns its
   * exit status.
   */
  int run(
      String namespace,
      String id,
      List<String> arguments,
      CreateRequest.StdioPaths stdio,
      CompletableFuture<Void> abandoned)
      throws InterruptedException;

  /** Ends and forgets a container of {@link #restore} or {@link #clone}, in whatever state. */
  ProcessState remove(String namespace, String id);

  /** Every container of the engine. */
  List<SandboxInfo> list();

  SandboxInfo info(String namespace, String id);

  /** The namespaces that have a container of this id. */
  List<String> namespaces(String id);

  /** What each sandbox of the engine holds. */
  List<SandboxFootprint> footprints();

  /** What the engine has made for the sandboxes to come. */
  List<Pool> pools();

  /** The start-up phases of a sandbox. */
  Timeline timeline(String namespace, String id);
}
