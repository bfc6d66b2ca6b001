package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.agent.GuestAgent.SharedMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a pod's sandbox has mounted for all of its containers. containerd's CRI plugin itself mounts
 * these files into each container; for a pod of its Sandbox API it leaves that to the runtime.
 *
 * @param files binds of the files that say who the pod is
 * @param ownSharedMemory whether /dev/shm is the pod's, where a container's specification has a
 *     tmpfs of its own there
 */
record PodMounts(List<ObjectNode> files, boolean ownSharedMemory) {
  static final PodMounts NONE = new PodMounts(List.of(), false);

  private static final Set<String> FILES =
      Set.of("/etc/hostname", "/etc/hosts", "/etc/resolv.conf");
  private static final String DEV_SHM = "/dev/shm";

  /** As large as the one that each container would have (containerd, pkg/oci/mounts.go). */
  private static final SharedMemory OF_THE_POD = new SharedMemory("pod", 64 << 20);

  /** Those of a sandbox's specification. */
  static PodMounts of(OciSpec spec) {
    List<ObjectNode> files = new ArrayList<>();
    boolean ownSharedMemory = false;
    for (JsonNode mount : spec.copy().path("mounts")) {
      if (FILES.contains(destination(mount)) && BindMount.is(mount)) {
        files.add((ObjectNode) mount);
      } else if (destination(mount).equals(DEV_SHM)) {
        // What is mounted last is seen.
        ownSharedMemory = isTmpfs(mount);
      }
    }
    return new PodMounts(List.copyOf(files), ownSharedMemory);
  }

  /** Adds to a container's specification the files that it has no others for. */
  void addFiles(ObjectNode root, boolean readOnly) {
    ArrayNode mounts = root.withArrayProperty("mounts");
    for (ObjectNode file : files) {
      if (!has(mounts, destination(file))) {
        ObjectNode added = file.deepCopy();
        added.withArrayProperty("options").add(readOnly ? "ro" : "rw");
        mounts.add(added);
      }
    }
  }

  /** The memory that containers share, if a container's {@code mount} is where they see it. */
  Optional<SharedMemory> sharedMemory(JsonNode mount) {
    return ownSharedMemory && destination(mount).equals(DEV_SHM) && isTmpfs(mount)
        ? Optional.of(OF_THE_POD)
        : Optional.empty();
  }

  private static boolean has(ArrayNode mounts, String destination) {
    for (JsonNode mount : mounts) {
      if (destination(mount).equals(destination)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isTmpfs(JsonNode mount) {
    return mount.path("type").asText().equals("tmpfs") && !BindMount.is(mount);
  }

  private static String destination(JsonNode mount) {
    return mount.path("destination").asText();
  }
}
