package io.rund.shim.containerd;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.shim.wire.pod.LinuxContainerResources;
import io.rund.shim.wire.pod.LinuxPodSandboxConfig;
import io.rund.shim.wire.pod.PodSandboxConfig;
import io.rund.shim.wire.sandbox.CreateSandboxRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * The OCI specification of a sandbox that has no pause container: what CRI's pod sandbox controller
 * of containerd would have written for one (internal/cri/server/podsandbox/sandbox_run_linux.go),
 * made from the pod's configuration.
 */
final class SandboxSpec {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String CRI = "io.kubernetes.cri.";

  private SandboxSpec() {}

  /** Writes config.json into the sandbox's bundle unless containerd has put one there. */
  static void ensure(CreateSandboxRequest request) {
    Path file = Path.of(request.getBundlePath()).resolve("config.json");
    try {
      // Without a specification containerd writes none, or JSON's null.
      if (Files.exists(file) && JSON.readTree(file.toFile()).has("process")) {
        return;
      }
      Files.write(file, JSON.writeValueAsBytes(make(request)));
    } catch (IOException e) {
      throw RundException.internal("cannot write " + file + ": " + e, e);
    }
  }

  private static ObjectNode make(CreateSandboxRequest request) throws IOException {
    PodSandboxConfig config = config(request.getOptions());
    ObjectNode spec = JSON.createObjectNode().put("ociVersion", "1.1.0");
    ObjectNode process = spec.putObject("process").put("cwd", "/");
    process.putArray("args").add("/pause");
    process.putObject("user").put("uid", 65535).put("gid", 65535);
    spec.putObject("root").put("path", "rootfs").put("readonly", true);
    if (!config.getHostname().isEmpty()) {
      spec.put("hostname", config.getHostname());
    }
    mounts(spec.putArray("mounts"), PodFiles.write(config, Path.of(request.getBundlePath())));
    ObjectNode annotations = spec.putObject("annotations");
    config.getAnnotationsMap().forEach(annotations::put);
    request.getAnnotationsMap().forEach(annotations::put);
    annotations
        .put(CRI + "container-type", "sandbox")
        .put(CRI + "sandbox-id", request.getSandboxId());
    linux(spec.putObject("linux"), annotations, request, config.getLinux());
    return spec;
  }

  /** What each container of the pod is to have, since containerd gives it to none. */
  private static void mounts(ArrayNode mounts, Map<String, Path> files) {
    mounts.addObject().put("destination", "/dev/shm").put("type", "tmpfs").put("source", "shm");
    files.forEach(
        (destination, file) ->
            mounts
                .addObject()
                .put("destination", destination)
                .put("type", "bind")
                .put("source", file.toString())
                .putArray("options")
                .add("rbind")
                .add("rprivate"));
  }

  private static void linux(
      ObjectNode linux,
      ObjectNode annotations,
      CreateSandboxRequest request,
      LinuxPodSandboxConfig config) {
    ArrayNode namespaces = linux.putArray("namespaces");
    for (String type : new String[] {"pid", "ipc", "uts", "mount"}) {
      namespaces.addObject().put("type", type);
    }
    // No path: a pod in the host's network, for which there is no namespace to name.
    if (!request.getNetnsPath().isEmpty()) {
      namespaces.addObject().put("type", "network").put("path", request.getNetnsPath());
    }
    if (!config.getCgroupParent().isEmpty()) {
      linux.put("cgroupsPath", cgroupsPath(config.getCgroupParent(), request.getSandboxId()));
    }
    ObjectNode sysctl = linux.putObject("sysctl");
    config.getSysctlsMap().forEach(sysctl::put);
    LinuxContainerResources resources = config.getResources();
    annotations
        .put(CRI + "sandbox-memory", Long.toString(resources.getMemoryLimitInBytes()))
        .put(CRI + "sandbox-cpu-period", Long.toString(resources.getCpuPeriod()))
        .put(CRI + "sandbox-cpu-quota", Long.toString(resources.getCpuQuota()))
        .put(CRI + "sandbox-cpu-shares", Long.toString(resources.getCpuShares()));
  }

  /** As CRI names it: a slice with systemd's driver, a folder without. */
  private static String cgroupsPath(String parent, String id) {
    String last = parent.substring(parent.lastIndexOf('/') + 1);
    return last.endsWith(".slice") ? last + ":cri-containerd:" + id : parent + "/" + id;
  }

  private static PodSandboxConfig config(Any options) {
    if (!options.getTypeUrl().endsWith("runtime.v1.PodSandboxConfig")) {
      return PodSandboxConfig.getDefaultInstance();
    }
    try {
      return PodSandboxConfig.parseFrom(options.getValue());
    } catch (InvalidProtocolBufferException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "the pod's configuration is malformed: " + e.getMessage(), e);
    }
  }
}
