package io.rund.core.sandbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.agent.GuestAgent.DiskNumber;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

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

  /**
   * The version of the OCI runtime specification that the guest's executor is told. crun 1.8 takes
   * no other than 1.0 (src/libcrun/container.c), where containerd 1.7 and 2 write newer ones; what
   * is new in those it ignores.
   */
  private static final String EXECUTOR_VERSION = "1.0.2";

  private final ObjectNode root;
  private final boolean readOnlyRoot;
  private final List<BlockNode> disks;

  private final Map<String, String> sysctls;

  private GuestSpec(
      ObjectNode root, boolean readOnlyRoot, List<BlockNode> disks, Map<String, String> sysctls) {
    this.root = root;
    this.readOnlyRoot = readOnlyRoot;
    this.disks = disks;
    this.sysctls = sysctls;
  }

  /**
   * The guest's specification for {@code containerId}; what it takes of the host is added to {@code
   * files}.
   *
   * @param pod the pod that the container is in, if it is not alone in its VM
   * @throws RundException INVALID_ARGUMENT that names what a VM cannot give
   */
  static GuestSpec of(
      OciSpec spec, String containerId, HostFiles files, Optional<GuestNamespaces.Pod> pod) {
    ObjectNode root = spec.copy();
    root.put("ociVersion", EXECUTOR_VERSION);
    GuestNamespaces.refuseThoseOfTheHost(spec);
    refuseHooks(root.path("hooks"));
    PodMounts podMounts = pod.map(GuestNamespaces.Pod::mounts).orElse(PodMounts.NONE);
    podMounts.addFiles(root, spec.readOnlyRoot());
    adaptMounts(root.path("mounts"), spec.bundle(), files, podMounts);
    ObjectNode linux = root.withObjectProperty("linux");
    pod.ifPresentOrElse(
        shared -> GuestNamespaces.adaptMember(root, linux, shared),
        () -> GuestNamespaces.adaptAlone(linux));
    GuestNamespaces.ownCgroup(linux);
    GuestResources.adapt(linux.path("resources"));
    List<BlockNode> disks = openDevices(linux, files);
    linux.put("cgroupsPath", "/" + containerId);
    // The guest's kernel has no such modules: the VM is the stronger fence.
    linux.remove("mountLabel");
    adaptProcess(root.withObjectProperty("process"));
    Map<String, String> sysctls = takeSysctls(linux, pod.isPresent());
    return new GuestSpec(root, spec.readOnlyRoot(), disks, sysctls);
  }

  /**
   * The kernel parameters that a pod's sandbox asks for.
   *
   * @throws RundException INVALID_ARGUMENT that names what a VM cannot give
   */
  static Map<String, String> ofPodSandbox(OciSpec spec) {
    GuestNamespaces.refuseThoseOfTheHost(spec);
    refuseHooks(spec.copy().path("hooks"));
    return spec.sysctls();
  }

  /**
   * Kernel parameters of namespaces that the container shares with the guest: the agent writes
   * these, since the executor refuses them.
   */
  private static Map<String, String> takeSysctls(ObjectNode linux, boolean inPod) {
    Map<String, String> taken = new TreeMap<>();
    if (linux.path("sysctl") instanceof ObjectNode sysctls) {
      for (Map.Entry<String, JsonNode> sysctl : Set.copyOf(sysctls.properties())) {
        if (inPod || sysctl.getKey().startsWith("net.")) {
          taken.put(sysctl.getKey(), sysctl.getValue().asText());
        }
      }
      sysctls.remove(taken.keySet());
    }
    return taken;
  }

  /** Kernel parameters to be set before the container is created. */
  Map<String, String> sysctls() {
    return sysctls;
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

  private static void refuseHooks(JsonNode hooks) {
    for (JsonNode list : hooks) {
      if (!list.isEmpty()) {
        throw RundException.invalid(
            "the specification has OCI hooks (%s): they are programs of the host that expect the container's namespaces there, and a VM has none on the host; remove them"
                .formatted(list.path(0).path("path").asText()));
      }
    }
  }

  private static void adaptMounts(
      JsonNode mounts, Path bundle, HostFiles files, PodMounts podMounts) {
    for (JsonNode mount : mounts) {
      String type = mount.path("type").asText();
      Optional<String> sharedMemory = podMounts.sharedMemory(mount).flatMap(files::shareMemory);
      if (sharedMemory.isPresent()) {
        BindMount.bindSharedMemory((ObjectNode) mount, sharedMemory.get(), List.of("rbind"));
      } else if (BindMount.is(mount)) {
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
            "device %s (%d:%d) is the host's: a sandbox has devices of its own; leave it out (for privileged pods: privileged_without_host_devices = true in containerd's configuration of the runtime)"
                .formatted(
                    device.path("path").asText("?"),
                    device.path("major").asInt(),
                    device.path("minor").asInt()));
      }
    }
    return disks;
  }

  private static byte[] write(JsonNode node) {
    try {
      return JSON.writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw RundException.internal("cannot write the guest's specification: " + e.getMessage(), e);
    }
  }
}
