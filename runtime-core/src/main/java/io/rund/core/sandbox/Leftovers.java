package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a container leaves on the host when its engine was killed. Processes, memory and descriptors
 * go with the engine, and the anchor goes by itself; its cgroup stays.
 */
public final class Leftovers {
  private static final Logger log = LoggerFactory.getLogger(Leftovers.class);

  private Leftovers() {}

  /** Removes them for the container of {@code bundle}, which no engine knows. Never fails. */
  public static void remove(Path bundle) {
    Optional<Path> cgroup;
    try {
      cgroup = OciSpec.read(bundle).cgroupsPath().flatMap(Cgroups::directory);
    } catch (RundException e) {
      log.debug("nothing is known of the bundle {}: {}", bundle, e.getMessage());
      return;
    }
    if (cgroup.isPresent()) {
      try {
        // Only a cgroup without processes can be removed.
        Files.deleteIfExists(cgroup.get());
      } catch (IOException e) {
        log.warn("cannot remove cgroup {}: {}", cgroup.get(), e.toString());
      }
    }
  }
}
