package io.rund.shim.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EngineStartTest {
  @TempDir private Path home;
  private String homeBefore;

  @BeforeEach
  void setHome() {
    homeBefore = System.getProperty("rund.home");
    System.setProperty("rund.home", home.toString());
  }

  @AfterEach
  void restoreHome() {
    if (homeBefore == null) {
      System.clearProperty("rund.home");
    } else {
      System.setProperty("rund.home", homeBefore);
    }
  }

  private Path start(String launcher) throws IOException {
    Path program = Files.createDirectory(home.resolve("bin")).resolve("containerd-shim-rund-v2");
    var _ = Files.writeString(program, "#!/bin/sh\n" + launcher);
    var _ = Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    return new EngineStart(home.resolve("rund.toml"), "/run/c.sock").engine("default", "web");
  }

  /** The launcher reads its input to the end, and leaves a file in what it takes for a bundle. */
  @Test
  void theLauncherIsAskedAsContainerdAsksIt() throws IOException {
    Path socket =
        start(
            """
            cat; pwd >"$(dirname "$0")/bundle"; echo "$RUND_CONFIG $*" >"$(dirname "$0")/asked"
            touch address; printf unix:///run/engine.sock
            """);
    assertEquals(Path.of("/run/engine.sock"), socket);
    assertEquals(
        home + "/rund.toml -namespace default -id web -address /run/c.sock start\n",
        Files.readString(home.resolve("bin/asked")));
    Path bundle = Path.of(Files.readString(home.resolve("bin/bundle")).strip());
    assertEquals(false, Files.exists(bundle));
  }

  @Test
  void aLauncherThatFailsIsAnError() {
    RundException e = assertThrows(RundException.class, () -> start("exit 1\n"));
    assertEquals(ErrorCode.UNAVAILABLE, e.code());
  }
}
