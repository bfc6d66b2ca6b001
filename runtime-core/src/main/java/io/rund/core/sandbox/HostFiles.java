package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.agent.GuestAgent;
import io.rund.core.agent.GuestAgent.SharedMemory;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.hypervisor.Share;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What one container sees of the host's files and disks: opened first, then given to its VM. Closes
 * what the VM has not got. For one thread.
 */
final class HostFiles implements AutoCloseable {
  /** Where the guest finds shares (agent.proto, CreateContainerRequest.shares). */
  private static final String GUEST_DIRECTORY = "/run/rund/.shares/";

  /** Where the guest finds shared memory (agent.proto, SharedMemory). */
  private static final String SHARED_MEMORY_DIRECTORY = "/run/rund/.shm/";

  /** How long files may stay open for writing that the guest has closed. */
  private static final long CLOSING_NANOS = 5_000_000_000L;

  private final String containerId;
  private final Deque<Share> shares = new ArrayDeque<>();
  private final List<String> shareNames = new ArrayList<>();
  private final List<DiskConfig> disks = new ArrayList<>();
  private final List<Integer> slots = new ArrayList<>();
  private Optional<Integer> rootSlot = Optional.empty();
  private Optional<RootFs> root = Optional.empty();
  private GuestAgent.Rootfs guestRoot;
  private Optional<DetachedMount> writableRoot = Optional.empty();
  private final Optional<PodShares> pod;
  private boolean given;
  private final List<SharedMemory> sharedMemories = new ArrayList<>();

  /** {@code pod} is that of a container whose VM others share. */
  HostFiles(String containerId, Optional<PodShares> pod) {
    this.containerId = containerId;
    this.pod = pod;
  }

  /** Takes a /dev/shm and returns its path in the guest; empty for a container that is alone. */
  Optional<String> shareMemory(SharedMemory memory) {
    if (pod.isEmpty()) {
      return Optional.empty();
    }
    sharedMemories.add(memory);
    return Optional.of(SHARED_MEMORY_DIRECTORY + memory.name());
  }

  List<SharedMemory> sharedMemories() {
    return List.copyOf(sharedMemories);
  }

  /**
   * Takes a directory or file and returns its path in the guest. In a pod the guest sees it at
   * once.
   *
   * @param open gives a descriptor of it
   */
  String share(PodShares.Source source, boolean readOnly, Supplier<Fd> open) {
    String name;
    if (pod.isPresent()) {
      name = pod.get().take(source, readOnly, containerId, open);
    } else {
      name = containerId + "-mount-" + shareNames.size();
      shares.add(new Share(name, open.get(), readOnly, source.cache()));
    }
    shareNames.add(name);
    return GUEST_DIRECTORY + name;
  }

  /** Takes a disk; the result is its index in {@link #slots}. */
  int plug(DiskConfig disk) {
    disks.add(disk);
    return disks.size() - 1;
  }

  /** Takes the root file system. */
  void root(RootFs newRoot) {
    root = Optional.of(newRoot);
  }

  /** Hands everything to a VM. */
  void giveTo(VirtualMachine vm) {
    // First, so that it is the first disk that the guest finds.
    guestRoot = giveRoot(root.orElseThrow(), vm);
    for (DiskConfig disk : disks) {
      slots.add(vm.plug(disk));
    }
    while (!shares.isEmpty()) {
      vm.share(shares.remove());
    }
  }

  private GuestAgent.Rootfs giveRoot(RootFs given, VirtualMachine vm) {
    return switch (given) {
      case RootFs.Disk disk -> {
        int slot = vm.plug(disk.disk());
        rootSlot = Optional.of(slot);
        yield new GuestAgent.BlockRootfs(slot, disk.fsType(), disk.options());
      }
      case RootFs.Directory directory -> {
        if (!directory.readOnly()) {
          writableRoot = Optional.of(directory.mount().duplicate());
        }
        root = Optional.empty();
        String name = containerId + "-rootfs";
        shareNames.add(name);
        Fd fd = directory.mount().fd();
        // Nobody else writes to a container's root file system.
        vm.share(new Share(name, fd, directory.readOnly(), CachePolicy.ALWAYS));
        yield new GuestAgent.SharedRootfs(name);
      }
    };
  }

  /** The root file system as the agent mounts it, once {@link #giveTo} was called. */
  GuestAgent.Rootfs guestRoot() {
    return guestRoot;
  }

  /** Names of all shares, that of the root file system too. */
  List<String> shareNames() {
    return List.copyOf(shareNames);
  }

  /** What the VM has of it by now, to be taken back from a VM that goes on. */
  GivenFiles given() {
    given = true;
    List<Integer> all = new ArrayList<>(slots);
    rootSlot.ifPresent(all::add);
    return new GivenFiles(List.copyOf(shareNames), List.copyOf(all));
  }

  /** Slots of the disks, once {@link #giveTo} was called. */
  List<Integer> slots() {
    return List.copyOf(slots);
  }

  /**
   * Makes a root file system of directories read-only, for good; those on disks are left to the
   * guest. Not before the container is created: mount points are made in it.
   */
  void makeRootReadOnly() {
    if (writableRoot.isEmpty()) {
      return;
    }
    long end = System.nanoTime() + CLOSING_NANOS;
    while (true) {
      try {
        writableRoot.get().makeReadOnly();
        return;
      } catch (LastErrorException e) {
        if (e.getErrorCode() != Linux.EBUSY || System.nanoTime() > end) {
          throw RundException.internal(
              "cannot make the root file system of %s read-only: %s"
                  .formatted(containerId, e.getMessage()),
              e);
        }
        pause();
      }
    }
  }

  /** The guest tells of a closed file after the program that closed it has gone on. */
  private static void pause() {
    try {
      Thread.sleep(5);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while a container was created", e);
    }
  }

  @Override
  public void close() {
    writableRoot.ifPresent(DetachedMount::close);
    root.ifPresent(RootFs::close);
    shares.forEach(share -> share.root().close());
    if (!given) {
      pod.ifPresent(others -> shareNames.forEach(others::giveBack));
    }
  }
}
