package io.rund.kvm.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a guest knows of its files is saved, and holds in another file system. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class FsStateTest {
  private static final int BOUND = 100;

  @TempDir Path host;

  private Path folder;
  private FsFixture old;
  private FsFixture guest;
  private FsState restored;

  @BeforeEach
  void share() throws IOException {
    folder = Files.createDirectory(host.resolve("share"));
    Files.createDirectories(folder.resolve("a/b"));
    Files.writeString(folder.resolve("a/file"), "in a");
    Files.writeString(folder.resolve("a/b/file"), "in b");
    Files.createSymbolicLink(folder.resolve("link"), Path.of("a/file"));
    Files.createLink(folder.resolve("second"), folder.resolve("a/file"));
    Files.writeString(host.resolve("config"), "config");
    old = new FsFixture(folder, BOUND, fixture -> fixture.share("config", host("config"), false));
  }

  @AfterEach
  void close() {
    old.close();
    if (guest != null) {
      guest.close();
      assertEquals(0, guest.budget.used());
    }
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private Path host(String name) {
    return host.resolve(name);
  }

  /** Through bytes, as it is kept. */
  private static FsState saved(FsFixture fixture) {
    FsState state = fixture.fs.state();
    SnapshotWriter out = new SnapshotWriter();
    FsState.write(state, out);
    SnapshotReader in = new SnapshotReader(out.written());
    FsState read = FsState.read(in);
    in.end();
    assertEquals(state, read);
    return read;
  }

  @Test
  void ofAGuestWhosePathsWouldTakeTooMuchNothingIsSaved() throws IOException {
    int depth = 15;
    long files = StateSaver.MOST_PATHS / 3750 + 1;
    Path deep = folder;
    for (int i = 0; i < depth; i++) {
      deep = Files.createDirectory(deep.resolve("d".repeat(249)));
    }
    try (FsFixture fixture = new FsFixture(folder, (int) files + depth + 1)) {
      long parent = fixture.top;
      for (int i = 0; i < depth; i++) {
        parent = fixture.lookup(parent, "d".repeat(249));
      }
      for (int i = 0; i < files; i++) {
        Files.createFile(deep.resolve("file-" + i));
        long _ = fixture.lookup(parent, "file-" + i);
      }
      RundException refused = assertThrows(RundException.class, fixture.fs::state);
      assertEquals(ErrorCode.FAILED_PRECONDITION, refused.code());
      assertTrue(refused.getMessage().contains("16 MiB"), refused::getMessage);
    }
  }

  /** The guest goes on with a folder; its look at the share's root is undone. */
  private void goOn(Path with, FsState state) {
    old.close();
    guest =
        new FsFixture(
            with,
            BOUND,
            fixture -> {
              fixture.share("config", host("config"), false);
              fixture.fs.restore(state);
              restored = fixture.fs.state();
            });
    assertEquals(old.top, guest.top);
    guest.fs.forget(guest.top, 1);
  }

  private static Optional<SharePath> pathOf(long node, FsState state) {
    return state.files().stream().filter(f -> f.id() == node).findFirst().orElseThrow().path();
  }

  private Path copy() throws Exception {
    run("cp", "-a", folder.toString(), host("copy").toString());
    run("rm", "-r", folder.toString());
    return host("copy");
  }

  private static void run(String... command) throws IOException, InterruptedException {
    assertEquals(0, new ProcessBuilder(command).inheritIO().start().waitFor());
  }

  private long attributes(long node) {
    return guest.fs.getAttributes(node, guest.attributes);
  }

  private void everythingGoesOn(boolean copied) throws Exception {
    long a = old.find("a");
    long b = old.lookup(a, "b");
    long file = old.lookup(a, "file");
    assertEquals(file, old.find("second"));
    long link = old.find("link");
    long config = old.lookup(SharedFileSystem.ROOT, "config");
    long read = old.fs.open(file, Linux.O_RDONLY, false);
    long write = old.fs.open(file, Linux.O_RDWR | Linux.O_TRUNC, false);
    assertEquals(4, old.write(write, "IN A", 0));
    long open = old.fs.open(config, Linux.O_WRONLY, false);
    long list = old.fs.openDirectory(a);
    long shares = old.fs.openDirectory(SharedFileSystem.ROOT);
    long stale = old.fs.open(file, Linux.O_RDONLY, false);
    old.fs.release(stale);
    FsState state = saved(old);
    goOn(copied ? copy() : folder, state);
    assertEquals(state, restored);

    assertEquals("IN A", guest.read(read, 0, 10));
    assertEquals(1, guest.write(write, "!", 3));
    assertEquals("IN !", guest.read(write, 0, 10));
    assertEquals(-Linux.EBADF, guest.write(read, "!", 3));
    assertEquals(1, guest.write(open, "C", 0));
    assertEquals("Config", Files.readString(host("config")));
    assertEquals(Set.of(".", "..", "b", "file"), Set.copyOf(list(list, 0)));
    assertEquals(List.of(".", "..", "data", "config"), list(shares, 0));
    assertEquals(-Linux.EBADF, guest.fs.fsync(stale, false));

    assertEquals(a, guest.find("a"));
    assertEquals(b, guest.lookup(a, "b"));
    assertEquals(file, guest.lookup(a, "file"));
    assertEquals(link, guest.find("link"));
    assertEquals("120777", guest.mode(link));
    assertEquals(config, guest.lookup(SharedFileSystem.ROOT, "config"));
    long fresh = guest.lookup(b, "file");
    assertFalse(Set.of(a, b, file, link, config, guest.top).contains(fresh));
    long again = guest.fs.open(fresh, Linux.O_RDONLY, false);
    assertFalse(Set.of(read, write, open, list, shares, stale).contains(again));

    for (long handle : new long[] {read, write, open, list, shares, again}) {
      assertEquals(0, guest.fs.release(handle));
    }
    for (long node : new long[] {a, b, link, config, fresh}) {
      guest.fs.forget(node, node == fresh ? 1 : 2);
      assertEquals(-Linux.ESTALE, attributes(node));
    }
    guest.fs.forget(file, 2);
    assertEquals(0, attributes(file));
    guest.fs.forget(file, 1);
    guest.fs.forget(guest.top, 1);
    assertEquals(0, guest.budget.used());
  }

  /** Names from a cookie on. */
  private List<String> list(long handle, long cookie) {
    List<String> names = new ArrayList<>();
    assertEquals(
        0,
        guest.fs.readDirectory(
            handle,
            cookie,
            (bytes, offset, length, inode, type, next) -> {
              byte[] name = bytes.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
              return names.add(new String(name, StandardCharsets.UTF_8));
            }));
    return names;
  }

  @Test
  void everythingGoesOnInTheSameTree() throws Exception {
    everythingGoesOn(false);
  }

  @Test
  void everythingGoesOnInACopyOfTheTree() throws Exception {
    everythingGoesOn(true);
  }

  @Test
  void folderIsReadOnFromWhereItWas() throws IOException {
    Set<String> expected = new HashSet<>();
    for (int i = 0; i < 50; i++) {
      expected.add("file" + i);
      Files.createFile(folder.resolve("a/b/file" + i));
    }
    long b = old.lookup(old.find("a"), "b");
    long handle = old.fs.openDirectory(b);
    Set<String> names = new HashSet<>();
    long[] cookie = new long[1];
    old.fs.readDirectory(
        handle,
        0,
        (bytes, offset, length, inode, type, next) -> {
          byte[] name = bytes.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
          names.add(new String(name, StandardCharsets.UTF_8));
          cookie[0] = next;
          return names.size() < 20;
        });
    goOn(folder, saved(old));
    names.addAll(list(handle, cookie[0]));
    assertTrue(names.containsAll(expected));
  }

  @Test
  void filesAreFoundByTheirPresentNames() throws Exception {
    long a = old.find("a");
    long file = old.lookup(a, "file");
    long inner = old.lookup(old.lookup(a, "b"), "file");
    Files.move(folder.resolve("a"), folder.resolve("A"));
    Files.move(folder.resolve("A/file"), folder.resolve("moved"));
    // Which is not the one that is deleted.
    Files.writeString(folder.resolve("gone (deleted)"), "another");
    Files.writeString(folder.resolve("gone"), "gone");
    long gone = old.find("gone");
    Files.delete(folder.resolve("gone"));
    Files.writeString(folder.resolve("x (deleted)"), "there");
    long there = old.find("x (deleted)");
    FsState state = saved(old);
    goOn(copy(), state);
    assertEquals(state, restored);
    assertEquals(file, guest.find("moved"));
    assertEquals(inner, guest.lookup(guest.lookup(guest.find("A"), "b"), "file"));
    assertEquals(there, guest.find("x (deleted)"));
    assertEquals(-Linux.ESTALE, attributes(gone));
    assertNotEquals(gone, guest.find("gone (deleted)"));
  }

  @Test
  void namesAreBytes() throws Exception {
    Name name = new Name();
    byte[] bytes = {(byte) 0xff, '\n', (byte) 0xc3, ' ', '\\', 1};
    name.set(FsFixture.zeroTerminated(bytes), 0, bytes.length + 1);
    assertEquals(0, old.fs.makeDirectory(old.caller, old.top, name, 0755, old.entry));
    long node = old.entry.node();
    long inner =
        old.fs.create(
            old.caller, node, FsFixture.name("ä"), 0644, Linux.O_CREAT | Linux.O_RDWR, old.entry);
    old.write(inner, "text", 0);
    FsState state = saved(old);
    goOn(copy(), state);
    assertEquals(0, guest.fs.lookup(guest.top, name, guest.entry));
    assertEquals(node, guest.entry.node());
    assertEquals("text", guest.read(inner, 0, 10));
  }

  @Test
  void whatHasGoneIsStaleUntilItIsForgotten() throws Exception {
    long file = old.lookup(old.find("a"), "b");
    long unlinked = old.lookup(file, "file");
    long link = old.find("link");
    long handle = old.fs.open(unlinked, Linux.O_RDWR, false);
    long list = old.fs.openDirectory(file);
    long unnamed = old.fs.temporaryFile(old.caller, old.top, 0600, Linux.O_RDWR, old.entry);
    long node = old.entry.node();
    Files.delete(folder.resolve("a/b/file"));
    FsState state = saved(old);
    Files.delete(folder.resolve("a/b"));
    Files.writeString(folder.resolve("a/b"), "not a folder");
    Files.delete(folder.resolve("link"));
    goOn(folder, state);
    for (long lost : new long[] {file, unlinked, link, node}) {
      assertEquals(-Linux.ESTALE, attributes(lost));
      assertEquals(-Linux.ESTALE, guest.lookup(lost, "x"));
      assertEquals(-Linux.ESTALE, guest.fs.open(lost, Linux.O_RDONLY, false));
      assertEquals(-Linux.ESTALE, guest.fs.openDirectory(lost));
      assertEquals(-Linux.ESTALE, guest.fs.unlink(lost, FsFixture.name("x")));
      assertEquals(CachePolicy.NONE, guest.fs.cachePolicy(lost));
    }
    for (long lost : new long[] {handle, unnamed, list}) {
      assertEquals("errno " + Linux.EBADF, guest.read(lost, 0, 1));
      assertEquals(-Linux.EBADF, guest.write(lost, "x", 0));
      assertEquals(-Linux.EBADF, guest.fs.fsync(lost, false));
      assertEquals(-Linux.EBADF, guest.fs.flush(lost));
      assertEquals(-Linux.EBADF, guest.fs.readDirectory(lost, 0, null));
    }
    assertNotEquals(file, guest.lookup(guest.find("a"), "b"));
    int used = guest.budget.used();
    for (long lost : new long[] {handle, unnamed, list}) {
      assertEquals(0, guest.fs.release(lost));
      assertEquals(-Linux.EBADF, guest.fs.release(lost));
    }
    for (long lost : new long[] {file, unlinked, link, node}) {
      guest.fs.forget(lost, 1);
    }
    assertEquals(used - 7, guest.budget.used());
  }

  @Test
  void linksOfTheHostAreNotFollowed() throws Exception {
    Files.createDirectory(host("outside"));
    Files.writeString(host("outside/file"), "secret");
    long a = old.find("a");
    long file = old.lookup(a, "file");
    FsState state = saved(old);
    Files.move(folder.resolve("a"), host("away"));
    assertTrue(pathOf(a, old.fs.state()).isEmpty());
    assertTrue(pathOf(file, old.fs.state()).isEmpty());
    Files.createSymbolicLink(folder.resolve("a"), host("outside"));
    goOn(folder, state);
    assertEquals(-Linux.ESTALE, attributes(a));
    assertEquals(-Linux.ESTALE, attributes(file));
  }

  @Test
  void linksThatAreOneFileNowKeepTheirIds() throws Exception {
    long a = old.lookup(old.find("a"), "file");
    long b = old.lookup(old.lookup(old.find("a"), "b"), "file");
    FsState state = saved(old);
    assertNotEquals(a, b);
    Files.delete(folder.resolve("a/b/file"));
    Files.createLink(folder.resolve("a/b/file"), folder.resolve("a/file"));
    goOn(folder, state);
    assertEquals(0, attributes(a));
    assertEquals(0, attributes(b));
    long found = guest.find("second");
    assertTrue(found == a || found == b);
    guest.fs.forget(found, 2);
    assertEquals(a + b - found, guest.find("second"));
    assertEquals(-Linux.ESTALE, attributes(found));
  }

  @Test
  void readOnlyShareOpensNothingForWriting() throws Exception {
    long node = old.find("second");
    long read = old.fs.open(node, Linux.O_RDONLY, false);
    long write = old.fs.open(node, Linux.O_RDWR, false);
    FsState state = saved(old);
    try (SharedFileSystem fs = new SharedFileSystem("other", new NodeBudget(BOUND, BOUND))) {
      for (String name : new String[] {"data", "config"}) {
        Fd root = Fd.openPath((name.equals("data") ? folder : host("config")).toString());
        fs.add(new Share(name, root, true, CachePolicy.ALWAYS));
      }
      fs.restore(state);
      assertEquals(0, fs.flush(read));
      assertEquals(-Linux.EBADF, fs.flush(write));
    }
  }

  @Test
  void sharesThatAreDetachedMountsHavePathsOfTheirOwn() throws Exception {
    Path mount = Files.createDirectory(folder.resolve("a/mount"));
    run("mount", "-t", "tmpfs", "none", mount.toString());
    try {
      Files.writeString(mount.resolve("file"), "text");
      Files.writeString(mount.resolve("config"), "text");
      detach(old, "clone", folder);
      detach(old, "one", host("config"));
      long clone = old.lookup(SharedFileSystem.ROOT, "clone");
      long one = old.lookup(SharedFileSystem.ROOT, "one");
      long file = old.lookup(old.lookup(old.lookup(clone, "a"), "mount"), "file");
      long escaped = old.lookup(clone, "second");
      Files.move(folder.resolve("second"), host("second"));
      long handle = old.fs.open(file, Linux.O_RDONLY, false);
      // The shared folder itself sees the mount go, and must not mistake its files.
      long gone = old.lookup(old.lookup(old.find("a"), "mount"), "config");
      Files.writeString(folder.resolve("config"), "not this one");
      FsState state = saved(old);
      guest =
          new FsFixture(
              folder,
              BOUND,
              fixture -> {
                fixture.share("config", host("config"), false);
                detach(fixture, "clone", folder);
                detach(fixture, "one", host("config"));
                fixture.fs.restore(state);
              });
      assertEquals("text", guest.read(handle, 0, 10));
      assertEquals(0, attributes(one));
      assertEquals(0, attributes(gone));
      assertEquals(-Linux.ESTALE, attributes(escaped));
      run("umount", "-l", mount.toString());
      assertTrue(pathOf(gone, old.fs.state()).isEmpty());
      assertEquals("a/mount/file", pathOf(file, old.fs.state()).orElseThrow().bytes());
    } finally {
      new ProcessBuilder("umount", "-l", mount.toString()).start().waitFor();
    }
  }

  private static void detach(FsFixture fixture, String name, Path root) {
    try (Fd path = Fd.openPath(root.toString())) {
      Fd clone = DetachedMount.of(path, true, false).fd();
      fixture.fs.add(new Share(name, clone, false, CachePolicy.AUTO));
    }
  }

  @Test
  void idsAreNewHoweverManyHaveBeenUsed() {
    Set<Long> seen = new HashSet<>();
    for (int i = 0; i < 20; i++) {
      long node = old.find("link");
      assertTrue(seen.add(node));
      old.fs.forget(node, 1);
    }
    seen.add(old.find("a"));
    seen.add(old.find("second"));
    old.fs.forget(old.find("second"), 2);
    goOn(folder, saved(old));
    for (int i = 0; i < 20; i++) {
      assertTrue(seen.add(guest.find("link")));
      assertTrue(seen.add(guest.find("second")));
      guest.fs.forget(guest.find("link"), 2);
      guest.fs.forget(guest.find("second"), 2);
    }
  }

  @Test
  void lostFilesAreSavedAgainAndGoWithTheirShare() throws Exception {
    long file = old.find("second");
    long handle = old.fs.open(file, Linux.O_RDONLY, false);
    Files.delete(folder.resolve("second"));
    goOn(folder, saved(old));
    old = guest;
    goOn(folder, saved(old));
    assertTrue(pathOf(file, restored).isEmpty());
    assertEquals(-Linux.ESTALE, attributes(file));
    guest.fs.remove("data");
    assertEquals(0, guest.fs.release(handle));
    assertEquals(0, guest.budget.used());
  }
}
