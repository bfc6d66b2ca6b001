package io.rund.shim;

import java.nio.file.Files;
import java.nio.file.Path;

/** The directory in which rund is installed: that of bin, etc, lib, libexec and share. */
public final class InstallRoot {
  private static final Path ETC_CONFIG = Path.of("/etc/rund/rund.toml");

  private InstallRoot() {}

  /** What the programs of the installation say of themselves (rund.home). */
  public static Path find() {
    return Path.of(System.getProperty("rund.home", ".")).toAbsolutePath().normalize();
  }

  /**
   * The configuration that the launcher would give to an engine; the same order as its config.c.
   */
  public static Path config() {
    String named = System.getenv("RUND_CONFIG");
    if (named != null && !named.isEmpty()) {
      return Path.of(named);
    }
    return Files.exists(ETC_CONFIG) ? ETC_CONFIG : find().resolve("etc/rund.toml");
  }
}
