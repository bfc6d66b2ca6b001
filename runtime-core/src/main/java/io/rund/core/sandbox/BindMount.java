package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.jna.LastErrorException;
import io.rund.core.agent.GuestAgent.SharedMemory;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.StatFs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A bind mount of the specification: its source is looked at, becomes a share, and is replaced by
 * the share's path in the guest. What a VM cannot give is refused with the reason.
 */
final class BindMount {
  private static final Set<String> TYPES = Set.of("bind", "rbind");

  /** Choice of a share's {@link CachePolicy}; the only option that the guest does not see. */
  private static final String CACHE = "cache=";

  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final Path DEVICES = Path.of("/dev");

  /** Major number of memory devices, and the minors of those that every container has. */
  private static final int MEM_MAJOR = 1;

  private static final Map<Integer, String> MEM_DEVICES =
      Map.of(3, "null", 5, "zero", 7, "full", 8, "random", 9, "urandom");

  private final ObjectNode mount;
  private final String source;
  private final String destination;
  private final List<String> options = new ArrayList<>();
  private CachePolicy cache = CachePolicy.AUTO;

  private BindMount(ObjectNode mount, Path bundle) {
    this.mount = mount;
    this.source = bundle.resolve(mount.path("source").asText()).toString();
    this.destination = mount.path("destination").asText();
    for (JsonNode option : mount.path("options")) {
      if (option.asText().startsWith(CACHE)) {
        cache = cachePolicy(option.asText().substring(CACHE.length()));
      } else {
        options.add(option.asText());
      }
    }
  }

  /** Whether a mount of a specification is one. */
  static boolean is(JsonNode mount) {
    if (TYPES.contains(mount.path("type").asText())) {
      return true;
    }
    for (JsonNode option : mount.path("options")) {
      if (TYPES.contains(option.asText())) {
        return true;
      }
    }
    return false;
  }

  /**
   * Changes the mount into one that the guest can make, and adds to {@code files} what it takes.
   *
   * @throws RundException INVALID_ARGUMENT that names source and destination
   */
  static void adapt(ObjectNode mount, Path bundle, HostFiles files) {
    BindMount bind = new BindMount(mount, bundle);
    bind.refusePropagationToHost();
    try (HostFile file = HostFile.open(bind.source)) {
      bind.adapt(file, files);
    } catch (LastErrorException e) {
      throw bind.refusal("cannot open %s: %s".formatted(bind.source, e.getMessage()));
    }
  }

  private void adapt(HostFile file, HostFiles files) {
    switch (file.kind()) {
      case DIRECTORY, REGULAR -> {
        if (isPodSharedMemory(file)) {
          becomeSharedMemory(file, files);
        } else {
          refuseWhatIsTheKernels(file);
          replaceSource(files.share(source(file), isReadOnly(), () -> open(file)));
        }
      }
      case CHARACTER_DEVICE -> {
        String name = MEM_DEVICES.get(file.device().minor());
        if (file.device().major() != MEM_MAJOR || name == null) {
          throw refusal(
              "it is a device of the host (%s), and a sandbox has devices of its own; leave it out"
                  .formatted(file.device()));
        }
        replaceSource("/dev/" + name);
      }
      case BLOCK_DEVICE ->
          throw refusal(
              "it is a block device; give it as a device instead (ctr run --device %s)"
                  .formatted(source));
      case SOCKET ->
          throw refusal(
              "it is a socket, and who listens there is on the host's kernel; a sandbox has a kernel of its own and cannot reach it");
      case FIFO ->
          throw refusal(
              "it is a FIFO, and a sandbox has a kernel of its own: what is written at one end would not come out at the other");
    }
  }

  /** A copy of the mount, or for "slave" the directory itself, where new mounts appear. */
  private Fd open(HostFile file) {
    if (isSlave() && file.kind() == HostFile.Kind.DIRECTORY) {
      return file.fd().duplicate();
    }
    return DetachedMount.of(file.fd(), isRecursive(), isReadOnly()).fd();
  }

  private PodShares.Source source(HostFile file) {
    return new PodShares.Source(
        file.path(), file.fileSystemDevice(), file.inode(), isRecursive(), isSlave(), cache);
  }

  private boolean isSlave() {
    return options.contains("slave") || options.contains("rslave");
  }

  private boolean isRecursive() {
    return options.contains("rbind") || mount.path("type").asText().equals("rbind");
  }

  private boolean isReadOnly() {
    return options.contains("ro") || options.contains("rro");
  }

  /**
   * A /dev/shm that containers share, a tmpfs that containerd or Kubernetes has made on the host.
   */
  private boolean isPodSharedMemory(HostFile file) {
    return destination.equals(SHARED_MEMORY.toString())
        && !file.path().startsWith(DEVICES)
        && file.fileSystem().type() == StatFs.TMPFS_MAGIC;
  }

  private void becomeSharedMemory(HostFile file, HostFiles files) {
    HostFile.DeviceNumber host = file.fileSystemDevice();
    String name = "host-%d-%d".formatted(host.major(), host.minor());
    SharedMemory memory = new SharedMemory(name, file.fileSystem().bytes());
    Optional<String> ofPod = files.shareMemory(memory);
    if (ofPod.isPresent()) {
      bindSharedMemory(mount, ofPod.get(), options);
      return;
    }
    mount.put("type", "tmpfs").put("source", "shm");
    ArrayNode tmpfs = restricted(mount).add("mode=1777");
    if (memory.bytes() > 0) {
      tmpfs.add("size=" + memory.bytes());
    }
  }

  /** Makes {@code mount} a bind of shared memory at {@code guestPath}. */
  static void bindSharedMemory(ObjectNode mount, String guestPath, List<String> options) {
    mount.put("type", "bind").put("source", guestPath);
    // A bind that says "rw" sets all flags anew, and would take away what the tmpfs has.
    options.forEach(restricted(mount)::add);
  }

  private static ArrayNode restricted(ObjectNode mount) {
    return mount.putArray("options").add("nosuid").add("noexec").add("nodev");
  }

  private void replaceSource(String guestPath) {
    mount.put("source", guestPath);
    ArrayNode guestOptions = mount.putArray("options");
    options.forEach(guestOptions::add);
  }

  private void refusePropagationToHost() {
    for (String option : options) {
      if (option.equals("shared") || option.equals("rshared")) {
        throw refusal(
            "propagation \"%s\" asks that mounts made inside appear on the host, which a VM cannot do; use \"%s\""
                .formatted(option, option.replace("shared", "slave")));
      }
    }
  }

  private void refuseWhatIsTheKernels(HostFile file) {
    if (file.path().startsWith(SHARED_MEMORY)) {
      throw refusal(
          "it is the host's shared memory, and a VM shares no memory with the host's programs; leave it out, a sandbox has a /dev/shm of its own");
    }
    Optional<String> view = file.fileSystem().kernelView();
    if (view.isPresent() || file.path().startsWith(DEVICES)) {
      throw refusal(
          "it shows the host's kernel (%s), and a sandbox has a kernel of its own; leave it out"
              .formatted(view.orElse(DEVICES.toString())));
    }
  }

  private CachePolicy cachePolicy(String name) {
    for (CachePolicy policy : CachePolicy.values()) {
      if (policy.name().toLowerCase(Locale.ROOT).equals(name)) {
        return policy;
      }
    }
    throw refusal(
        "option %s%s is none of cache=none, cache=auto and cache=always".formatted(CACHE, name));
  }

  private RundException refusal(String reason) {
    return RundException.invalid(
        "bind mount of %s at %s: %s".formatted(source, destination, reason));
  }
}
