package io.rund.shim.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Checks of the containerd that runs, or of the one that would. */
final class ContainerdChecks {
  private static final String SHIM = "containerd-shim-rund-v2";
  private static final String DEVMAPPER = "io.containerd.snapshotter.v1.devmapper";
  private static final Path DEFAULT_CONFIG = Path.of("/etc/containerd/config.toml");

  private ContainerdChecks() {}

  /** A process named containerd: its arguments, and the PATH on which it looks for shims. */
  private record Containerd(String pid, List<String> arguments, String path) {
    Path config() {
      for (int i = 1; i < arguments.size(); i++) {
        String argument = arguments.get(i);
        if ((argument.equals("--config") || argument.equals("-c")) && i + 1 < arguments.size()) {
          return Path.of(arguments.get(i + 1));
        }
        if (argument.startsWith("--config=")) {
          return Path.of(argument.substring("--config=".length()));
        }
      }
      return DEFAULT_CONFIG;
    }
  }

  static List<Check> of(Path proc) {
    Optional<Containerd> running = find(proc);
    String path = running.map(Containerd::path).orElseGet(() -> System.getenv("PATH"));
    Path config = running.map(Containerd::config).orElse(DEFAULT_CONFIG);
    return List.of(
        running
            .map(found -> Check.ok("containerd", "runs, pid " + found.pid()))
            .orElseGet(
                () ->
                    Check.failed(
                        "containerd",
                        "no process of that name runs",
                        "apt-get install containerd; systemctl start containerd")),
        shim(path == null ? "" : path),
        snapshotter(config, Path.of("/dev/mapper")));
  }

  private static Optional<Containerd> find(Path proc) {
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
      for (Path process : processes) {
        try {
          if (Files.readString(process.resolve("comm")).strip().equals("containerd")) {
            String path =
                strings(process.resolve("environ")).stream()
                    .filter(entry -> entry.startsWith("PATH="))
                    .map(entry -> entry.substring("PATH=".length()))
                    .findFirst()
                    .orElse("");
            return Optional.of(
                new Containerd(
                    process.getFileName().toString(), strings(process.resolve("cmdline")), path));
          }
        } catch (IOException e) {
          // A process that has ended meanwhile.
        }
      }
    } catch (IOException e) {
      // No /proc, no processes.
    }
    return Optional.empty();
  }

  private static List<String> strings(Path file) throws IOException {
    return List.of(new String(Files.readAllBytes(file), StandardCharsets.UTF_8).split("\0", -1));
  }

  /** containerd makes the binary's name of the runtime's: io.containerd.rund.v2. */
  static Check shim(String path) {
    for (String folder : path.split(":", -1)) {
      Path candidate = Path.of(folder, SHIM);
      if (Files.isExecutable(candidate)) {
        return Check.ok("shim", "io.containerd.rund.v2 is " + candidate);
      }
    }
    return Check.failed(
        "shim",
        "%s is not on containerd's PATH (%s)".formatted(SHIM, path),
        "ln -s INSTALLATION/bin/%s /usr/local/bin/".formatted(SHIM));
  }

  /**
   * Overlays of directories, containerd's default, are shared with the sandbox and need nothing;
   * devmapper, if it is configured, needs its thin pool.
   */
  static Check snapshotter(Path config, Path devices) {
    String name = "snapshotter";
    JsonNode root;
    try {
      root = new TomlMapper().readTree(Files.readAllBytes(config));
    } catch (NoSuchFileException e) {
      return Check.ok(name, "containerd's default, overlayfs");
    } catch (IOException e) {
      return Check.failed(
          name,
          "cannot read %s: %s".formatted(config, e.getMessage()),
          "mend it and restart containerd");
    }
    String pool = root.path("plugins").path(DEVMAPPER).path("pool_name").asText();
    if (pool.isEmpty() || isDisabled(root)) {
      return Check.ok(name, "overlayfs; devmapper is not configured, which is optional");
    }
    return Files.exists(devices.resolve(pool))
        ? Check.ok(name, "overlayfs; devmapper with thin pool " + pool)
        : Check.failed(
            name,
            "devmapper is configured and its thin pool %s does not exist".formatted(pool),
            "create it (dmsetup create %s --table \"0 SECTORS thin-pool METADATA DATA 128 8192\"); or take devmapper out of %s"
                .formatted(pool, config));
  }

  private static boolean isDisabled(JsonNode config) {
    for (JsonNode disabled : config.path("disabled_plugins")) {
      if (disabled.asText().equals(DEVMAPPER)) {
        return true;
      }
    }
    return false;
  }
}
