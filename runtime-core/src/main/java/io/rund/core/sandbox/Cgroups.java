package io.rund.core.sandbox;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Where a container's cgroup is on the host. */
final class Cgroups {
  private static final Path ROOT = Path.of("/sys/fs/cgroup");

  /**
   * On a host with cgroup v1 a container is in this one of its trees: the one by which monitors
   * find the processes of a pod.
   */
  private static final Path V1_ROOT = ROOT.resolve("memory");

  private Cgroups() {}

  /** The directory for linux.cgroupsPath on this host; empty if it has no such tree. */
  static Optional<Path> directory(String cgroupsPath) {
    if (Files.exists(ROOT.resolve("cgroup.controllers"))) {
      return directory(ROOT, cgroupsPath);
    }
    return Files.isDirectory(V1_ROOT) ? directory(V1_ROOT, cgroupsPath) : Optional.empty();
  }

  /**
   * The directory for linux.cgroupsPath in the tree {@code root}: an absolute path, or {@code
   * slice:prefix:name} where systemd manages cgroups. Empty for a path that leaves the tree or is
   * neither.
   */
  static Optional<Path> directory(Path root, String cgroupsPath) {
    String[] parts = cgroupsPath.split(":", -1);
    String path;
    if (parts.length == 3) {
      path = sliceDirectory(parts[0]) + scope(parts[1], parts[2]);
    } else if (cgroupsPath.startsWith("/")) {
      path = cgroupsPath.substring(1);
    } else {
      return Optional.empty();
    }
    Path directory = root.resolve(path).normalize();
    return directory.startsWith(root) && !directory.equals(root)
        ? Optional.of(directory)
        : Optional.empty();
  }

  /** The unit that runc would ask systemd for. */
  private static String scope(String prefix, String name) {
    return (prefix.isEmpty() ? name : prefix + "-" + name) + ".scope";
  }

  /**
   * Each dash in the name of a slice is one level of the tree (systemd.slice(5)): a-b.slice is
   * a.slice/a-b.slice.
   */
  private static String sliceDirectory(String slice) {
    String name = slice.isEmpty() ? "system.slice" : slice;
    if (name.equals("-.slice") || !name.endsWith(".slice")) {
      return "";
    }
    StringBuilder directory = new StringBuilder();
    for (int dash = name.indexOf('-'); dash > 0; dash = name.indexOf('-', dash + 1)) {
      directory.append(name, 0, dash).append(".slice/");
    }
    return directory.append(name).append('/').toString();
  }
}
