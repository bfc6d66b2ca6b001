package io.rund.core.sandbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.agent.GuestAgent.DiskNumber;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Turns the specification that was written for the host into the one that the guest's executor
 * runs. What a VM changes is changed here and nowhere else; what it cannot give is refused with the
 * reason.
 */
final class GuestSpec {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** File systems that the guest's kernel makes by itself. */
  private static final Set<String> KERNEL_FILE_SYSTEMS =
      Set.of("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs");

  /** Major numbers of devices that are the same in every kernel: mem (null, zero, urandom), tty. */
  private static final Set<Integer> KERNEL_DEVICES = Set.of(1, 5);

  /** Bytes of one argument or variable with its final zero (include/uapi/linux/binfmts.h). */
  private static final int MAX_ARG_STRLEN = 32 * 4096;

  private final ObjectNode root;
  private final boolean readOnlyRoot;
  private final List<BlockNode> disks;

  private GuestSpec(ObjectNode root, boolean readOnlyRoot, List<BlockNode> disks) {
    this.root = root;
    this.readOnlyRoot = readOnlyRoot;
    this.disks = disks;
  }

  /**
   * The guest's specification for {@code containerId}; what it takes of the host is added to {@code
   * files}.
   *
   * @throws RundException INVALID_ARGUMENT that names what a VM cannot give
   */
  static GuestSpec of(OciSpec spec, String containerId, HostFiles files) {
    ObjectNode root = spec.copy();
    refuseHostNetwork(spec);
    refuseHooks(root.path("hooks"));
    adaptMounts(root.path("mounts"), spec.bundle(), files);
    ObjectNode linux = root.withObjectProperty("linux");
    adaptNamespaces(linux.path("namespaces"));
    List<BlockNode> disks = openDevices(linux, files);
    linux.put("cgroupsPath", "/" + containerId);
    // The guest's kernel has no such modules: the VM is the stronger fence.
    linux.remove("mountLabel");
    adaptProcess(root.withObjectProperty("process"));
    return new GuestSpec(root, spec.readOnlyRoot(), disks);
  }

  /**
   * The guest's config.json.
   *
   * @param numbers of the disks, in the order in which they were added to the files
   */
  byte[] json(List<DiskNumber> numbers) {
    JsonNode rules = root.path("linux").path("resources").path("devices");
    BlockNode.renumber(disks, numbers, rules);
    return write(root);
  }

  /** Whether the container may not write to its root file system. */
  boolean readOnlyRoot() {
    return readOnlyRoot;
  }

  /** The guest's process object for an exec. */
  static byte[] process(byte[] processJson) {
    JsonNode process;
    try {
      process = JSON.readTree(processJson);
    } catch (java.io.IOException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "the exec's process is not valid JSON: " + e.getMessage(), e);
    }
    if (!(process instanceof ObjectNode object) || object.path("args").isEmpty()) {
      throw RundException.invalid("the exec's process has no args, there is nothing to run");
    }
    adaptProcess(object);
    return write(object);
  }

  private static void adaptProcess(ObjectNode process) {
    refuseLongStrings("args", process.path("args"));
    refuseLongStrings("env", process.path("env"));
    process.remove("apparmorProfile");
    process.remove("selinuxLabel");
  }

  /** What execve(2) would refuse with E2BIG, when nobody is there any more to be told. */
  private static void refuseLongStrings(String name, JsonNode strings) {
    for (int i = 0; i < strings.size(); i++) {
      int length = strings.path(i).asText().getBytes(StandardCharsets.UTF_8).length;
      if (length >= MAX_ARG_STRLEN) {
        throw RundException.invalid(
            "argument list too long: process.%s[%d] has %d bytes, the kernel takes at most %d; pass a file instead"
                .formatted(name, i, length, MAX_ARG_STRLEN - 1));
      }
    }
  }

  private static void refuseHostNetwork(OciSpec spec) {
    if (spec.network().isEmpty()) {
      throw RundException.invalid(
          "host networking was asked for (no network namespace in %s): a VM has a kernel and a network stack of its own and cannot share the host's; give the container a network namespace"
              .formatted(spec.file()));
    }
  }

  private static void refuseHooks(JsonNode hooks) {
    for (JsonNode list : hooks) {
      if (!list.isEmpty()) {
        throw RundException.invalid(
            "the specification has OCI hooks (%s): they are programs of the host that expect the container's namespaces there, and a VM has none on the host; remove them"
                .formatted(list.path(0).path("path").asText()));
      }
    }
  }

  private static void adaptMounts(JsonNode mounts, Path bundle, HostFiles files) {
    for (JsonNode mount : mounts) {
      String type = mount.path("type").asText();
      if (BindMount.is(mount)) {
        BindMount.adapt((ObjectNode) mount, bundle, files);
      } else if (!KERNEL_FILE_SYSTEMS.contains(type)) {
        throw RundException.invalid(
            "mount of %s (type %s) at %s: the sandbox's kernel cannot make it; mount it on the host and bind the directory"
                .formatted(
                    mount.path("source").asText("?"),
                    type.isEmpty() ? "none" : type,
                    mount.path("destination").asText("?")));
      }
    }
  }

  private static List<BlockNode> openDevices(ObjectNode linux, HostFiles files) {
    List<BlockNode> disks = new ArrayList<>();
    for (JsonNode device : linux.path("devices")) {
      if (device.path("type").asText().equals("b")) {
        JsonNode rules = linux.path("resources").path("devices");
        disks.add(BlockNode.open((ObjectNode) device, rules, files));
      } else if (!KERNEL_DEVICES.contains(device.path("major").asInt())) {
        throw RundException.invalid(
            "device %s (%d:%d) is the host's: a sandbox has devices of its own; leave it out"
                .formatted(
                    device.path("path").asText("?"),
                    device.path("major").asInt(),
                    device.path("minor").asInt()));
      }
    }
    return disks;
  }

  /**
   * The sandbox's network is the guest's own, so the container joins it instead of making another.
   */
  private static void adaptNamespaces(JsonNode namespaces) {
    if (!(namespaces instanceof ArrayNode array)) {
      return;
    }
    for (Iterator<JsonNode> it = array.iterator(); it.hasNext(); ) {
      JsonNode namespace = it.next();
      String type = namespace.path("type").asText();
      if (type.equals("network")) {
        it.remove();
      } else if (Optional.ofNullable(namespace.get("path")).isPresent()) {
        throw RundException.invalid(
            "the %s namespace %s is the host's: a process in a VM cannot join it; leave the path out"
                .formatted(type, namespace.path("path").asText()));
      }
    }
  }

  private static byte[] write(JsonNode node) {
    try {
      return JSON.writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw RundException.internal("cannot write the guest's specification: " + e.getMessage(), e);
    }
  }
}
