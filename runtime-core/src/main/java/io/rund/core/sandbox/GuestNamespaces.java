package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Iterator;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The namespaces of a container in the guest. The network is the guest's own, and so are the IPC
 * and UTS namespaces of a pod: what all containers of the VM share needs no namespace.
 */
final class GuestNamespaces {
  /** What the containers of one pod share. */
  interface Pod {
    /** The pid of the sandbox's anchor, whose namespaces stand for the pod's on the host. */
    int pid();

    /**
     * The process in the guest whose PID namespace the anchor {@code anchorPid} stands for: the
     * pod's for the sandbox's anchor, a container's for another.
     */
    OptionalInt guestPid(int anchorPid);

    PodMounts mounts();
  }

  private static final Pattern OF_PROCESS = Pattern.compile("/proc/(\\d{1,9})/ns/[a-z]+");
  private static final Set<String> OF_THE_POD = Set.of("network", "ipc", "uts");

  private GuestNamespaces() {}

  /**
   * Refuses what would be the host's.
   *
   * @throws RundException INVALID_ARGUMENT with the reason
   */
  static void refuseThoseOfTheHost(OciSpec spec) {
    if (spec.network().isEmpty()) {
      throw RundException.invalid(
          "host networking was asked for (no network namespace in %s): a VM has a kernel and a network stack of its own and cannot share the host's; give the container a network namespace"
              .formatted(spec.file()));
    }
    if (!spec.hasNamespace("pid")) {
      throw RundException.invalid(
          "the host's PID namespace was asked for (no pid namespace in %s; hostPID in Kubernetes): the host's processes run on another kernel than the sandbox's, which cannot show them; give the container a PID namespace"
              .formatted(spec.file()));
    }
    if (!spec.hasNamespace("ipc")) {
      throw RundException.invalid(
          "the host's IPC namespace was asked for (no ipc namespace in %s; hostIPC in Kubernetes): a VM shares no memory, queues or semaphores with the host's programs; give the container an IPC namespace"
              .formatted(spec.file()));
    }
  }

  /** For a container that is alone in its VM. */
  static void adaptAlone(ObjectNode linux) {
    for (Iterator<JsonNode> it = namespaces(linux); it.hasNext(); ) {
      JsonNode namespace = it.next();
      if (type(namespace).equals("network")) {
        it.remove();
      } else if (path(namespace).isPresent()) {
        throw refusal(namespace);
      }
    }
  }

  /** For a container of a pod. */
  static void adaptMember(ObjectNode root, ObjectNode linux, Pod pod) {
    for (Iterator<JsonNode> it = namespaces(linux); it.hasNext(); ) {
      ObjectNode namespace = (ObjectNode) it.next();
      Optional<String> path = path(namespace);
      if (OF_THE_POD.contains(type(namespace))) {
        if (path.isPresent() && !isOf(pod, type(namespace), path.get())) {
          throw refusal(namespace);
        }
        it.remove();
      } else if (path.isPresent()) {
        int guestPid =
            (type(namespace).equals("pid") ? pidIn(path.get()) : OptionalInt.empty())
                .stream()
                    .flatMap(pid -> pod.guestPid(pid).stream())
                    .findFirst()
                    .orElseThrow(() -> refusal(namespace));
        namespace.put("path", "/proc/" + guestPid + "/ns/pid");
      }
    }
    // They are the pod's, set when its sandbox was made.
    root.remove("hostname");
    root.remove("domainname");
  }

  private static boolean isOf(Pod pod, String type, String path) {
    if (!type.equals("network")) {
      OptionalInt pid = pidIn(path);
      return pid.isPresent() && pid.getAsInt() == pod.pid();
    }
    try {
      return Files.isSameFile(Path.of(path), Path.of("/proc/" + pod.pid() + "/ns/net"));
    } catch (IOException e) {
      return false;
    }
  }

  private static OptionalInt pidIn(String path) {
    Matcher matcher = OF_PROCESS.matcher(path);
    return matcher.matches()
        ? OptionalInt.of(Integer.parseInt(matcher.group(1)))
        : OptionalInt.empty();
  }

  /**
   * A container sees its cgroup as the root of all. On hosts with cgroup v1 specifications do not
   * ask for that: there the mounts of the controllers do it, which the guest's cgroup v2 has not.
   */
  static void ownCgroup(ObjectNode linux) {
    for (Iterator<JsonNode> it = namespaces(linux); it.hasNext(); ) {
      if (it.next().path("type").asText().equals("cgroup")) {
        return;
      }
    }
    linux.withArrayProperty("namespaces").addObject().put("type", "cgroup");
  }

  private static Iterator<JsonNode> namespaces(ObjectNode linux) {
    return linux.path("namespaces") instanceof ArrayNode array
        ? array.iterator()
        : Collections.emptyIterator();
  }

  private static String type(JsonNode namespace) {
    return namespace.path("type").asText();
  }

  private static Optional<String> path(JsonNode namespace) {
    return Optional.of(namespace.path("path").asText()).filter(path -> !path.isEmpty());
  }

  private static RundException refusal(JsonNode namespace) {
    return RundException.invalid(
        "the %s namespace %s is the host's: a process in a VM cannot join it; leave the path out"
            .formatted(type(namespace), namespace.path("path").asText()));
  }
}
