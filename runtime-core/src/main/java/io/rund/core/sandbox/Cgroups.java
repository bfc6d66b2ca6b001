package io.rund.core.sandbox;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Where a container's cgroup is on the host. */
final class Cgroups {
  private static final Path ROOT = Path.of("/sys/fs/cgroup");

  private Cgroups() {}

  /**
   * The directory for linux.cgroupsPath in the cgroup v2 tree; empty on a host without one, and for
   * a path that leaves the tree or is systemd's (slice:prefix:name).
   */
  static Optional<Path> directory(String cgroupsPath) {
    if (!Files.exists(ROOT.resolve("cgroup.controllers")) || !cgroupsPath.startsWith("/")) {
      return Optional.empty();
    }
    Path directory = ROOT.resolve(cgroupsPath.substring(1)).normalize();
    return directory.startsWith(ROOT) && !directory.equals(ROOT)
        ? Optional.of(directory)
        : Optional.empty();
  }
}
