package io.rund.shim.cli;

import io.rund.core.error.RundException;
import io.rund.shim.InstallRoot;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Finds an engine as containerd does, by the launcher, which starts one if there is none.
 *
 * @param config the configuration file
 * @param containerd the socket of containerd
 */
record EngineStart(Path config, String containerd) {
  private static final String SCHEME = "unix://";

  /** The socket of the engine that serves such a container. */
  Path engine(String namespace, String id) {
    try {
      // What the launcher leaves in a bundle is of no use to anybody here.
      Path bundle = Files.createTempDirectory("rund-start");
      try {
        return start(bundle, namespace, id);
      } finally {
        Files.deleteIfExists(bundle.resolve("address"));
        Files.delete(bundle);
      }
    } catch (IOException e) {
      throw RundException.unavailable("cannot start an engine: " + e, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RundException.unavailable("interrupted while an engine started", e);
    }
  }

  private Path start(Path bundle, String namespace, String id)
      throws IOException, InterruptedException {
    ProcessBuilder launcher =
        new ProcessBuilder(
                InstallRoot.find().resolve("bin/containerd-shim-rund-v2").toString(),
                "-namespace",
                namespace,
                "-id",
                id,
                "-address",
                containerd,
                "start")
            .directory(bundle.toFile())
            // On which containerd may say more.
            .redirectInput(new File("/dev/null"))
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    launcher.environment().put("RUND_CONFIG", config.toString());
    Process process = launcher.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0 || !said.startsWith(SCHEME)) {
      throw RundException.unavailable("no engine could be started", null);
    }
    return Path.of(said.substring(SCHEME.length()));
  }
}
