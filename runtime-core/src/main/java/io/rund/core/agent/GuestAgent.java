package io.rund.core.agent;

import io.rund.core.network.InterfaceConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The agent in a sandbox, PID 1 of the guest, as the sandbox manager uses it. Methods block until
 * the agent has answered, so they are called on virtual threads; any number at once.
 *
 * <p>Errors are {@link io.rund.core.error.RundException}s with the agent's code and message,
 * UNAVAILABLE when the connection ends, DEADLINE_EXCEEDED when a guest does not answer in time.
 * Answers are guest-made: the implementation checks them before anyone sees them.
 */
public interface GuestAgent extends ContainerAgent {
  /** First call on a connection. Sets the guest's clock and host name. */
  Hello hello(String hostname, Duration timeout);

  /**
   * Mounts the root file system and creates the container's init, which then waits for {@link
   * #start}.
   *
   * @param specJson the guest's config.json
   * @return the init's pid in the guest's root PID namespace
   */
  int createContainer(ContainerConfig config, byte[] specJson);

  /**
   * Goes on with a container whose streams a reset of the vsock device has cut off: its init's
   * streams connect to these ports, and what the init has written since is there. Its execs are
   * gone. {@code terminal} is what it was.
   */
  void adopt(String containerId, StdioPorts stdio);

  /** Sets the guest's clock to the host's: at once if it is far away, else little by little. */
  void setClock();

  /** Writes kernel parameters (sysctl(8) names) of the sandbox. */
  void setSysctls(Map<String, String> values);

  /**
   * The pid, in the guest's root PID namespace, of the process whose PID namespace the containers
   * of a pod share; it is made by the first call.
   */
  int sharedPidNamespace();

  /** Binds the device in a slot to its driver, if it is not; for a disk its numbers are useful. */
  DiskNumber bindSlot(int slot);

  void unbindSlot(int slot);

  /**
   * Connects to a port of localhost in the guest and, from there, to {@code vsockPort} of the host,
   * and copies between them.
   */
  void forwardPort(int port, int vsockPort);

  /** Binds network cards to their driver and sets their interfaces up. */
  void configureNetwork(List<GuestInterface> interfaces);

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

  /**
   * What a container is made of.
   *
   * @param shares names of all shares that the container uses; the agent lets go of them when the
   *     container is deleted
   * @param sharedMemories what it sees, and others of its pod may see too
   */
  record ContainerConfig(
      String id,
      Rootfs rootfs,
      List<String> shares,
      List<SharedMemory> sharedMemories,
      StdioPorts stdio) {}

  /**
   * A /dev/shm that containers of a pod share: a tmpfs of the guest, where sharing memory works.
   *
   * @param name which one it is in its sandbox (agent.proto, SharedMemory.name)
   * @param bytes its size, 0 for no bound; the first container that has it decides
   */
  record SharedMemory(String name, long bytes) {}

  /** Where a container's root file system is. */
  sealed interface Rootfs permits BlockRootfs, SharedRootfs {}

  /** On the disk in {@code slot}; {@code options} as in mount(8). */
  record BlockRootfs(int slot, String fsType, List<String> options) implements Rootfs {}

  /** A shared directory. */
  record SharedRootfs(String share) implements Rootfs {}

  /** Device numbers in the guest; both are 0 for what is not a disk. */
  record DiskNumber(int major, int minor) {}

  /** The card in {@code slot}, and what the guest makes of it. */
  record GuestInterface(int slot, InterfaceConfig config) {}

  /** The vsock ports on which the engine awaits the streams of a process; 0 is /dev/null. */
  record StdioPorts(boolean terminal, int stdin, int stdout, int stderr) {}
}
