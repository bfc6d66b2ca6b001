package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders are listed whole, whatever the size of the guest's buffer. */
class FoldersTest {
  private static final int FILES = 800;
  private static final int DT_DIR = 4;
  private static final int DT_REG = 8;

  @TempDir Path host;

  private FsFixture guest;
  private SharedFileSystem fs;

  @BeforeEach
  void share() {
    guest = new FsFixture(host);
    fs = guest.fs;
  }

  @AfterEach
  void close() {
    guest.close();
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private Set<String> fill() throws IOException {
    Set<String> names = new HashSet<>(Set.of(".", ".."));
    for (int i = 0; i < FILES; i++) {
      String name = "file-" + i + "-" + "x".repeat(i % 60);
      Files.createFile(host.resolve(name));
      names.add(name);
    }
    return names;
  }

  /** One entry as {@code name}, with where to go on. */
  private record Step(String name, long next) {}

  /** At most {@code count} entries. */
  private List<Step> read(long handle, long cookie, int count) {
    List<Step> steps = new ArrayList<>();
    int result =
        fs.readDirectory(
            handle,
            cookie,
            (bytes, offset, length, inode, type, next) -> {
              if (steps.size() == count) {
                return false;
              }
              byte[] name = bytes.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
              steps.add(new Step(new String(name, StandardCharsets.UTF_8), next));
              return true;
            });
    assertEquals(0, result);
    return steps;
  }

  @Test
  void everyEntryComesOnceInWhateverPortions() throws IOException {
    Set<String> expected = fill();
    for (int portion : new int[] {1, 7, 100, Integer.MAX_VALUE - FILES}) {
      List<String> names = guest.list(guest.top, portion);
      assertEquals(expected.size(), names.size());
      assertEquals(expected, new HashSet<>(names));
    }
  }

  @Test
  void moreFoldersThanBuffersAreReadSideBySide() throws IOException {
    Set<String> expected = fill();
    int readers = 20;
    long[] handles = new long[readers];
    long[] cookies = new long[readers];
    List<Set<String>> seen = new ArrayList<>();
    for (int i = 0; i < readers; i++) {
      handles[i] = fs.openDirectory(guest.top);
      seen.add(new HashSet<>());
    }
    boolean more = true;
    while (more) {
      more = false;
      for (int i = 0; i < readers; i++) {
        for (Step step : read(handles[i], cookies[i], 50)) {
          assertTrue(seen.get(i).add(step.name), step.name);
          cookies[i] = step.next;
          more = true;
        }
      }
    }
    for (Set<String> names : seen) {
      assertEquals(expected, names);
    }
  }

  @Test
  void readerMayGoBackAndBeginAgain() throws IOException {
    fill();
    long handle = fs.openDirectory(guest.top);
    List<Step> first = read(handle, 0, 100);
    List<Step> second = read(handle, first.getLast().next, 100);
    assertEquals(second, read(handle, first.getLast().next, 100));
    assertEquals(first.subList(50, 100), read(handle, first.get(49).next, 50));
    assertEquals(first, read(handle, 0, 100));
    // What has been added since is there after going back to the beginning.
    read(handle, 0, Integer.MAX_VALUE);
    Files.createFile(host.resolve("late"));
    assertTrue(read(handle, 0, Integer.MAX_VALUE).stream().anyMatch(s -> s.name.equals("late")));
  }

  @Test
  void entriesCanBeRemovedWhileTheyAreRead() throws IOException {
    fill();
    long handle = fs.openDirectory(guest.top);
    long cookie = 0;
    int removed = 0;
    List<Step> steps = read(handle, cookie, 64);
    while (!steps.isEmpty()) {
      for (Step step : steps) {
        if (!step.name.startsWith(".")) {
          assertEquals(0, fs.unlink(guest.top, name(step.name)));
          removed++;
        }
        cookie = step.next;
      }
      steps = read(handle, cookie, 64);
    }
    assertEquals(FILES, removed);
  }

  @Test
  void entriesTellTypeAndInodeAndCanBeLookedUpOnTheWay() throws IOException {
    Files.createDirectory(host.resolve("folder"));
    Files.createFile(host.resolve("file"));
    long handle = fs.openDirectory(guest.top);
    Set<String> seen = new HashSet<>();
    Name name = new Name();
    int result =
        fs.readDirectory(
            handle,
            0,
            (bytes, offset, length, inode, type, next) -> {
              if (name.set(bytes, offset, offset + length + 1) < 0) {
                return true;
              }
              assertEquals(0, fs.lookup(guest.top, name, guest.entry));
              assertEquals(inode, guest.entry.attributes().inode());
              assertEquals(type, guest.entry.attributes().mode() >>> 12);
              seen.add(name + " " + type);
              return true;
            });
    assertEquals(0, result);
    assertEquals(Set.of("folder " + DT_DIR, "file " + DT_REG), seen);
  }

  @Test
  void removedFolderIsEmptyAndForgedCookiesDoNoHarm() throws IOException {
    Files.createDirectory(host.resolve("folder"));
    long folder = guest.find("folder");
    long handle = fs.openDirectory(folder);
    assertEquals(0, fs.removeDirectory(guest.top, name("folder")));
    // As for a process of the host that has it open.
    assertEquals(-Linux.ENOENT, fs.readDirectory(handle, 0, (a, b, c, d, e, f) -> true));
    assertEquals(-Linux.EINVAL, fs.readDirectory(handle, -5, (a, b, c, d, e, f) -> true));
    assertTrue(fs.readDirectory(handle, Long.MAX_VALUE, (a, b, c, d, e, f) -> true) <= 0);
    assertEquals(-Linux.ENOTDIR, fs.openDirectory(fileNode()));
  }

  private long fileNode() throws IOException {
    Files.createFile(host.resolve("file"));
    return guest.find("file");
  }
}
