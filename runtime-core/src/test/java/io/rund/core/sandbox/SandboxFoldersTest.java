package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SandboxFoldersTest {
  @TempDir private Path parent;

  @Test
  void aFolderGoesWithItsSandboxAndAllThatWasWritten() throws IOException {
    SandboxFolders folders = new SandboxFolders(parent.resolve("all"));
    SandboxFolders.Folder folder = folders.make("default", "web");
    var _ = Files.createDirectories(folder.upper().resolve("deep/er"));
    var _ = Files.writeString(folder.upper().resolve("deep/er/file"), "text");
    var _ = Files.createSymbolicLink(folder.upper().resolve("link"), parent);
    folder.close();
    assertFalse(Files.exists(folder.path()));
    assertTrue(Files.exists(parent));
    folders.make("default", "web").close();
  }

  @Test
  void whatAKilledEngineHasLeftIsSweptAndWhatLivesIsNot() throws IOException {
    SandboxFolders folders = new SandboxFolders(parent.resolve("all"));
    Path left = Files.createDirectories(parent.resolve("all/default:dead"));
    var _ = Files.writeString(left.resolve("lock"), "");
    Path older = Files.createDirectories(parent.resolve("all/default:older"));
    Files.setLastModifiedTime(older, FileTime.from(Instant.now().minusSeconds(120)));
    Path file = Files.writeString(parent.resolve("all/notes"), "somebody's");
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusSeconds(120)));
    Path young = Files.createDirectories(parent.resolve("all/default:young"));
    try (SandboxFolders.Folder lives = folders.make("default", "lives")) {
      folders.sweep();
      assertTrue(Files.exists(lives.work()));
    }
    assertFalse(Files.exists(left));
    assertFalse(Files.exists(older));
    assertTrue(Files.exists(young));
    assertTrue(Files.exists(file));
  }

  @Test
  void aNameIsTakenOnceAndIsNoPath() {
    SandboxFolders folders = new SandboxFolders(parent.resolve("all"));
    try (SandboxFolders.Folder _ = folders.make("default", "web")) {
      RundException twice = assertThrows(RundException.class, () -> folders.make("default", "web"));
      assertEquals(ErrorCode.ALREADY_EXISTS, twice.code());
    }
    RundException path =
        assertThrows(RundException.class, () -> folders.make("default", "../../web"));
    assertEquals(ErrorCode.INVALID_ARGUMENT, path.code());
  }
}
