package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WritableLayerTest {
  @TempDir private Path parent;

  private static RootfsMount overlay(String... options) {
    return new RootfsMount("overlay", "overlay", "", List.of(options));
  }

  @Test
  void onlyTheWritableDirectoriesAreReplaced() {
    RootfsMount overlay =
        overlay("index=off", "workdir=/s/work", "upperdir=/s/fs", "lowerdir=/a:/b");
    assertEquals(Optional.of(Path.of("/s/fs")), WritableLayer.of(overlay));
    assertEquals(
        overlay("index=off", "workdir=/n/work", "upperdir=/n/upper", "lowerdir=/a:/b"),
        WritableLayer.replace(overlay, Path.of("/n/upper"), Path.of("/n/work")));
    RootfsMount readOnly = overlay("ro", "lowerdir=/a:/b");
    assertEquals(Optional.empty(), WritableLayer.of(readOnly));
    assertEquals(readOnly, WritableLayer.replace(readOnly, parent, parent));
  }

  @Test
  void aCopyHasTimesLinksAndNoMoreThanTheOriginal() throws IOException {
    Path from = Files.createDirectories(parent.resolve("from"));
    FileTime time = FileTime.fromMillis(86_400_000);
    Path file = Files.writeString(from.resolve("-file"), "text");
    var _ = Files.setLastModifiedTime(file, time);
    var _ = Files.createSymbolicLink(from.resolve("link"), Path.of("/nowhere"));
    Path to = parent.resolve("to");
    WritableLayer.copy(from, to);
    assertEquals("text", Files.readString(to.resolve("-file")));
    assertEquals(time, Files.getLastModifiedTime(to.resolve("-file")));
    assertEquals(Path.of("/nowhere"), Files.readSymbolicLink(to.resolve("link")));
    try (var all = Files.list(parent)) {
      assertEquals(2, all.count());
    }
  }

  @Test
  void whatCannotBeCopiedIsNamed() {
    Path missing = parent.resolve("missing");
    RundException e =
        assertThrows(RundException.class, () -> WritableLayer.copy(missing, parent.resolve("to")));
    assertTrue(e.getMessage().contains(missing.toString()), e.getMessage());
  }
}
