package io.rund.core.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.LastErrorException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Copies of a directory in which a tmpfs is mounted. Needs root. */
class DetachedMountTest {
  private static final int MNT_DETACH = 2;

  @TempDir Path directory;
  private Path below;

  @BeforeEach
  void mountBelow() throws IOException {
    below = Files.createDirectory(directory.resolve("below"));
    Libc.mount("tmpfs", below.toString(), "tmpfs", 0, null);
    Files.writeString(below.resolve("file"), "mounted");
  }

  @AfterEach
  void unmountBelow() {
    Libc.umount2(below.toString(), MNT_DETACH);
  }

  private DetachedMount copy(boolean recursive, boolean readOnly) {
    try (Fd path = Fd.openPath(directory.toString())) {
      return DetachedMount.of(path, recursive, readOnly);
    }
  }

  private static Path root(DetachedMount mount) {
    return Path.of("/proc/self/fd/" + mount.fd().number());
  }

  @Test
  void hasWhatIsMountedBelowOnlyIfAskedFor() throws IOException {
    try (DetachedMount with = copy(true, false);
        DetachedMount without = copy(false, false)) {
      assertEquals("mounted", Files.readString(root(with).resolve("below/file")));
      assertFalse(Files.exists(root(without).resolve("below/file")));
    }
  }

  @Test
  void keepsWhatIsUnmountedElsewhereAndDoesNotGetWhatIsMountedLater() throws IOException {
    Path later = Files.createDirectory(directory.resolve("later"));
    try (DetachedMount copy = copy(true, false)) {
      Libc.umount2(below.toString(), 0);
      Libc.mount("tmpfs", later.toString(), "tmpfs", 0, null);
      try {
        Files.createFile(later.resolve("file"));
        assertEquals("mounted", Files.readString(root(copy).resolve("below/file")));
        assertFalse(Files.exists(root(copy).resolve("later/file")));
      } finally {
        Libc.umount2(later.toString(), MNT_DETACH);
        Libc.mount("tmpfs", below.toString(), "tmpfs", 0, null);
      }
    }
  }

  @Test
  void readOnlyHoldsBelowTooAndCanComeLater() throws IOException {
    try (DetachedMount copy = copy(true, true)) {
      assertReadOnly(root(copy));
    }
    try (DetachedMount copy = copy(true, false);
        DetachedMount same = copy.duplicate()) {
      Files.createFile(root(copy).resolve("below/new"));
      same.makeReadOnly();
      assertReadOnly(root(copy));
    }
  }

  private static void assertReadOnly(Path root) {
    for (String name : new String[] {"new", "below/newer"}) {
      FileSystemException e =
          assertThrows(FileSystemException.class, () -> Files.createFile(root.resolve(name)));
      assertEquals("Read-only file system", e.getReason());
    }
  }

  @Test
  void followsNoLinkAndOpensNoDevice() throws Exception {
    Files.createSymbolicLink(directory.resolve("link"), Path.of("below"));
    Path device = directory.resolve("null");
    assertEquals(
        0, new ProcessBuilder("mknod", device.toString(), "c", "1", "3").start().waitFor());
    try (DetachedMount copy = copy(true, false)) {
      String root = root(copy).toString();
      assertEquals(Path.of("below"), Files.readSymbolicLink(Path.of(root, "link")));
      LastErrorException loop =
          assertThrows(LastErrorException.class, () -> Fd.open(root + "/link/file", 0));
      assertTrue(loop.getMessage().contains("symbolic links"), loop.getMessage());
      LastErrorException denied =
          assertThrows(LastErrorException.class, () -> Fd.open(root + "/null", 0));
      assertTrue(denied.getMessage().contains("ermission denied"), denied.getMessage());
    }
  }
}
