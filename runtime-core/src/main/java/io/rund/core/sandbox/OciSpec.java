package io.rund.core.sandbox;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * A container's OCI runtime specification (config.json of its bundle), with the few questions that
 * rund asks of it. Immutable for its users.
 */
public final class OciSpec {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** __NEW_UTS_LEN (include/uapi/linux/utsname.h), in bytes. */
  private static final int MOST_HOSTNAME = 64;

  private final Path file;
  private final ObjectNode root;

  private OciSpec(Path file, ObjectNode root) {
    this.file = file;
    this.root = root;
  }

  /**
   * Reads {@code bundle/config.json}.
   *
   * @throws RundException INVALID_ARGUMENT that names the file when it is missing, is not JSON, or
   *     lacks process.args
   */
  public static OciSpec read(Path bundle) {
    Path file = bundle.resolve("config.json");
    JsonNode root;
    try {
      root = JSON.readTree(Files.readAllBytes(file));
    } catch (NoSuchFileException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT,
          file + " does not exist: the bundle has no OCI specification",
          e);
    } catch (JsonProcessingException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT,
          "%s is not valid JSON (line %d, column %d): %s"
              .formatted(
                  file,
                  e.getLocation().getLineNr(),
                  e.getLocation().getColumnNr(),
                  e.getOriginalMessage()),
          e);
    } catch (IOException e) {
      throw new RundException(ErrorCode.INVALID_ARGUMENT, "cannot read " + file + ": " + e, e);
    }
    if (!(root instanceof ObjectNode object)) {
      throw RundException.invalid(file + " is not a JSON object");
    }
    OciSpec spec = new OciSpec(file, object);
    if (spec.root.path("process").path("args").isEmpty()) {
      throw RundException.invalid(file + ": process.args is empty, there is nothing to run");
    }
    return spec;
  }

  /** The specification's file, for messages. */
  public Path file() {
    return file;
  }

  /** The directory that relative paths of the specification begin at. */
  Path bundle() {
    return file.getParent();
  }

  /** A copy that the caller may change. */
  ObjectNode copy() {
    return root.deepCopy();
  }

  /**
   * The same for a container that has no bundle of containerd's: relative sources of mounts are
   * those of this one's bundle, and its cgroup is the engine's.
   */
  byte[] detached() {
    ObjectNode copy = copy();
    for (JsonNode mount : copy.path("mounts")) {
      if (BindMount.is(mount)) {
        String source = bundle().resolve(mount.path("source").asText()).toString();
        ((ObjectNode) mount).put("source", source);
      }
    }
    if (copy.path("linux") instanceof ObjectNode linux) {
      linux.remove("cgroupsPath");
    }
    return bytes(copy);
  }

  /**
   * A specification with another network namespace: that of {@code path}, or a new one.
   *
   * @throws RundException FAILED_PRECONDITION if it is none
   */
  static byte[] inNetwork(byte[] specification, Optional<Path> path) {
    JsonNode root;
    try {
      root = JSON.readTree(specification);
    } catch (IOException e) {
      throw RundException.precondition("the specification cannot be read: " + e.getMessage());
    }
    for (JsonNode namespace : root.path("linux").path("namespaces")) {
      if (namespace.path("type").asText().equals("network")) {
        ((ObjectNode) namespace).remove("path");
        path.ifPresent(p -> ((ObjectNode) namespace).put("path", p.toString()));
      }
    }
    return bytes(root);
  }

  /** The process object for another program that runs as the container's does, on no terminal. */
  byte[] process(List<String> arguments) {
    ObjectNode process = (ObjectNode) copy().path("process");
    process.remove("consoleSize");
    ArrayNode args = process.put("terminal", false).putArray("args");
    arguments.forEach(args::add);
    return bytes(process);
  }

  private static byte[] bytes(JsonNode node) {
    try {
      return JSON.writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw RundException.internal("cannot write a specification: " + e.getMessage(), e);
    }
  }

  /** process.args[0]. */
  String program() {
    return root.path("process").path("args").path(0).asText();
  }

  /** root.path: absolute, or relative to the bundle. */
  String rootPath() {
    return text(root.path("root").path("path")).orElse("rootfs");
  }

  boolean readOnlyRoot() {
    return root.path("root").path("readonly").asBoolean();
  }

  /**
   * What the guest is to be called, if that is said.
   *
   * @throws RundException INVALID_ARGUMENT if it is longer than Linux takes it
   */
  public Optional<String> hostname() {
    Optional<String> hostname = text(root.path("hostname"));
    if (hostname.isPresent() && hostname.get().getBytes(UTF_8).length > MOST_HOSTNAME) {
      throw RundException.invalid(
          "the hostname %s is longer than %d bytes".formatted(hostname.get(), MOST_HOSTNAME));
    }
    return hostname;
  }

  /** An annotation that is not empty. */
  Optional<String> annotation(String name) {
    return text(root.path("annotations").path(name));
  }

  /**
   * An annotation that is a number; zero and less mean that there is none.
   *
   * @throws RundException INVALID_ARGUMENT if it is no number
   */
  OptionalLong number(String annotation) {
    Optional<String> text = annotation(annotation);
    try {
      return text.isEmpty()
          ? OptionalLong.empty()
          : OptionalLong.of(Long.parseLong(text.get())).stream().filter(n -> n > 0).findFirst();
    } catch (NumberFormatException e) {
      throw RundException.invalid(
          "annotation %s is \"%s\", which is no number".formatted(annotation, text.get()));
    }
  }

  /** All annotations whose names begin so. */
  Map<String, String> annotations(String prefix) {
    return texts(root.path("annotations"), prefix);
  }

  /** linux.sysctl. */
  Map<String, String> sysctls() {
    return texts(root.path("linux").path("sysctl"), "");
  }

  /** Whether the specification asks for a namespace of this type, new or existing. */
  boolean hasNamespace(String type) {
    for (JsonNode namespace : root.path("linux").path("namespaces")) {
      if (namespace.path("type").asText().equals(type)) {
        return true;
      }
    }
    return false;
  }

  /** linux.cgroupsPath as containerd gave it. */
  public Optional<String> cgroupsPath() {
    return text(root.path("linux").path("cgroupsPath"));
  }

  /** linux.resources.cpu. */
  JsonNode cpu() {
    return root.path("linux").path("resources").path("cpu");
  }

  /** Memory limit in bytes, if there is one. */
  public OptionalLong memoryLimit() {
    return positive(root.path("linux").path("resources").path("memory").path("limit"));
  }

  /** CPUs that the quota amounts to, rounded up, if there is one. */
  public OptionalLong cpus() {
    OptionalLong quota = positive(cpu().path("quota"));
    if (quota.isEmpty()) {
      return OptionalLong.empty();
    }
    long period = positive(cpu().path("period")).orElse(100_000);
    return OptionalLong.of(Math.ceilDiv(quota.getAsLong(), period));
  }

  /**
   * The network of the pod: a namespace that exists, or a new one; empty if the host's is asked
   * for.
   */
  public Optional<NetworkNamespace> network() {
    for (JsonNode namespace : root.path("linux").path("namespaces")) {
      if (namespace.path("type").asText().equals("network")) {
        Optional<String> path = text(namespace.path("path"));
        return Optional.of(
            path.<NetworkNamespace>map(p -> new NetworkNamespace.Existing(Path.of(p)))
                .orElseGet(NetworkNamespace.Fresh::new));
      }
    }
    return Optional.empty();
  }

  private static Map<String, String> texts(JsonNode object, String prefix) {
    Map<String, String> found = new TreeMap<>();
    for (Map.Entry<String, JsonNode> member : object.properties()) {
      if (member.getKey().startsWith(prefix)) {
        found.put(member.getKey(), member.getValue().asText());
      }
    }
    return found;
  }

  private static Optional<String> text(JsonNode node) {
    return node.isTextual() && !node.asText().isEmpty()
        ? Optional.of(node.asText())
        : Optional.empty();
  }

  private static OptionalLong positive(JsonNode node) {
    return node.canConvertToLong() && node.asLong() > 0
        ? OptionalLong.of(node.asLong())
        : OptionalLong.empty();
  }
}
