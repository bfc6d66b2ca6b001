package io.rund.core.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * What an operator can set, from one TOML file; {@code rund.toml} in the distribution says what
 * each key means. A key that is missing has its default, a key that nobody knows is an error.
 *
 * @param isolation how many sandboxes share an engine
 * @param kernel the guest kernel, an ELF vmlinux
 * @param initramfs the guest OS image
 * @param anchor the program rund-anchor
 * @param stateDir directory for sockets, logs and whatever lives as long as the engine
 * @param defaultVcpus vCPUs of a sandbox without a CPU quota
 * @param defaultMemory bytes of guest RAM of a sandbox without a memory limit
 * @param memoryOverhead bytes of guest RAM added to a memory limit, for the guest's kernel and
 *     agent
 * @param minMemory the least memory limit, in bytes, that is accepted
 * @param slots transports for devices that can be plugged into a sandbox
 * @param annotations names of the {@code io.rund.} annotations that a specification may have
 * @param cloning whether sandboxes may be clones of a template
 * @param templateDir where templates are kept, so that they survive the engine; empty if they do
 *     not
 * @param sandboxDir where sandboxes that were restored or cloned by command keep what they write
 * @param bootTimeout how long a guest may take from its first instruction to its agent's answer
 * @param idleTimeout how long an engine without sandboxes stays
 * @param debugConsole whether guests have a serial console, logged under the state directory
 * @param logLevel level of the engine's log
 */
public record RundConfig(
    Isolation isolation,
    Path kernel,
    Path initramfs,
    Path anchor,
    Path stateDir,
    int defaultVcpus,
    long defaultMemory,
    long memoryOverhead,
    long minMemory,
    int slots,
    Set<String> annotations,
    boolean cloning,
    Optional<Path> templateDir,
    Path sandboxDir,
    Duration bootTimeout,
    Duration idleTimeout,
    boolean debugConsole,
    LogLevel logLevel) {

  /**
   * Which sandboxes share an engine: all of the node's, those of a containerd namespace, or none.
   */
  public enum Isolation {
    NODE,
    NAMESPACE,
    SANDBOX
  }

  /** Levels of the log. */
  public enum LogLevel {
    ERROR,
    WARN,
    INFO,
    DEBUG
  }

  /** The annotation with the number of a sandbox's vCPUs. */
  public static final String VCPUS_ANNOTATION = "io.rund.vcpus";

  /** The annotation with the size of a sandbox's memory. */
  public static final String MEMORY_ANNOTATION = "io.rund.memory";

  /**
   * The annotation by which a sandbox asks not to be a clone, or does not mind; always allowed,
   * since all it can cost is time.
   */
  public static final String CLONE_ANNOTATION = "io.rund.clone";

  /** More do not fit into a guest kernel's command line, which names each. */
  public static final int MAX_SLOTS = 40;

  private static final Set<String> ANNOTATIONS =
      new TreeSet<>(List.of(MEMORY_ANNOTATION, VCPUS_ANNOTATION));

  private static final long MIB = 1L << 20;
  private static final long MAX_MEMORY = 1L << 40;

  /**
   * Reads {@code file}; relative paths in it are relative to {@code installRoot}.
   *
   * @throws RundException INVALID_ARGUMENT that names the file, the key, its value and what is
   *     allowed
   */
  public static RundConfig read(Path file, Path installRoot) {
    JsonNode root;
    try {
      root = new TomlMapper().readTree(Files.readAllBytes(file));
    } catch (JsonProcessingException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT,
          "%s, line %d: %s".formatted(file, e.getLocation().getLineNr(), e.getOriginalMessage()),
          e);
    } catch (IOException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "cannot read the configuration " + file + ": " + e, e);
    }
    return from(new Settings(file.toString(), root), installRoot);
  }

  /** The configuration of a host that sets nothing. */
  public static RundConfig defaults(Path installRoot) {
    return from(new Settings("defaults", new TomlMapper().createObjectNode()), installRoot);
  }

  private static RundConfig from(Settings settings, Path root) {
    RundConfig config =
        new RundConfig(
            settings.choice("isolation", Isolation.NODE),
            root.resolve(settings.text("kernel", "share/vmlinux")),
            root.resolve(settings.text("initramfs", "share/initramfs.cpio")),
            root.resolve(settings.text("anchor", "libexec/rund-anchor")),
            root.resolve(settings.text("state_dir", "/run/rund")),
            settings.integer("default_vcpus", 1, 1, 64),
            settings.bytes("default_memory", 256 * MIB, 64 * MIB, MAX_MEMORY),
            settings.bytes("memory_overhead", 64 * MIB, 32 * MIB, MAX_MEMORY),
            settings.bytes("min_memory", 8 * MIB, MIB, MAX_MEMORY),
            settings.integer("slots", 16, 1, MAX_SLOTS),
            settings.names("annotations", ANNOTATIONS),
            settings.flag("clone", true),
            settings.optional("template_dir", "/var/lib/rund/templates").map(root::resolve),
            root.resolve(settings.text("sandbox_dir", "/var/lib/rund/sandboxes")),
            settings.duration("boot_timeout", Duration.ofSeconds(60)),
            settings.duration("idle_timeout", Duration.ofMinutes(10)),
            settings.flag("debug_console", false),
            settings.choice("log_level", LogLevel.INFO));
    settings.refuseUnknown();
    return config;
  }

  /**
   * The size in the annotation {@value #MEMORY_ANNOTATION}, in the form of this file's sizes.
   *
   * @throws RundException INVALID_ARGUMENT for anything else
   */
  public static long memoryOf(String annotation) {
    return valueOf(MEMORY_ANNOTATION, annotation).bytes(MEMORY_ANNOTATION, 0, 64 * MIB, MAX_MEMORY);
  }

  /** The number in the annotation {@value #VCPUS_ANNOTATION}. */
  public static int vcpusOf(String annotation) {
    return valueOf(VCPUS_ANNOTATION, annotation).integer(VCPUS_ANNOTATION, 0, 1, 64);
  }

  /** The flag in the annotation {@value #CLONE_ANNOTATION}. */
  public static boolean cloneOf(String annotation) {
    return switch (annotation) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw RundException.invalid(
              "annotation %s is \"%s\": it must be \"true\" or \"false\""
                  .formatted(CLONE_ANNOTATION, annotation));
    };
  }

  private static Settings valueOf(String name, String annotation) {
    ObjectNode values = new TomlMapper().createObjectNode();
    if (annotation.matches("\\d{1,9}")) {
      values.put(name, Integer.parseInt(annotation));
    } else {
      values.put(name, annotation);
    }
    return new Settings("annotation", values);
  }

  /** The names of an enum as the file spells them. */
  static String names(Enum<?>[] values) {
    return Arrays.stream(values)
        .map(value -> '"' + value.name().toLowerCase(java.util.Locale.ROOT) + '"')
        .reduce((a, b) -> a + ", " + b)
        .orElse("");
  }
}
