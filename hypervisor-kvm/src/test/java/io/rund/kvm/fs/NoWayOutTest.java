package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static io.rund.kvm.fs.FsFixture.zeroTerminated;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a hostile guest tries, to reach files of the host that are in no share of its. */
@Timeout(value = 30, unit = TimeUnit.SECONDS)
class NoWayOutTest {
  private static final int NULL_DEVICE = 1 << 8 | 3;

  @TempDir Path host;

  private Path secret;
  private FsFixture guest;

  @BeforeEach
  void share() throws IOException {
    secret = Files.writeString(host.resolve("secret"), "secret");
    guest = new FsFixture(Files.createDirectory(host.resolve("share")));
  }

  @AfterEach
  void close() {
    guest.close();
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private Path inShare(String name) {
    return guest.folder.resolve(name);
  }

  private static int nameOf(byte[] bytes) {
    return new Name().set(zeroTerminated(bytes), 0, bytes.length + 1);
  }

  private static int nameOf(String text) {
    return nameOf(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void namesThatWouldLeadElsewhereAreNoNames() {
    for (String text : new String[] {"", ".", "..", "/", "a/b", "../secret", "/etc", "a/"}) {
      assertEquals(-Linux.EINVAL, nameOf(text), text);
    }
    assertEquals(-Linux.ENAMETOOLONG, nameOf("x".repeat(256)));
    assertEquals(256, nameOf("x".repeat(255)));
    assertEquals(4, nameOf("..."));
    assertEquals(4, nameOf("..x"));
  }

  @Test
  void nameEndsAtItsZeroAndNeedsOne() {
    // The caller sees that bytes are left, and that this is not the message it should be.
    assertEquals(2, nameOf(new byte[] {'a', 0, 'b'}));
    assertEquals(-Linux.EINVAL, new Name().set(zeroTerminated(new byte[] {'a', 'b'}), 0, 2));
    assertEquals(-Linux.EINVAL, new Name().set(zeroTerminated(new byte[] {'a'}), 2, 2));
  }

  @Test
  void refusedNameReachesNothing() {
    Name refused = name("was-good");
    assertEquals(-Linux.EINVAL, refused.set(zeroTerminated(new byte[] {'.', '.'}), 0, 3));
    Entry entry = guest.entry;
    assertEquals(-Linux.EINVAL, guest.fs.lookup(guest.top, refused, entry));
    assertEquals(-Linux.EINVAL, guest.fs.makeDirectory(guest.caller, guest.top, refused, 0, entry));
    assertEquals(
        -Linux.EINVAL, guest.fs.create(guest.caller, guest.top, refused, 0, Linux.O_RDWR, entry));
    assertEquals(-Linux.EINVAL, guest.fs.unlink(guest.top, refused));
    assertEquals(-Linux.EINVAL, guest.fs.removeDirectory(guest.top, refused));
    assertEquals(-Linux.EINVAL, guest.fs.rename(guest.top, refused, guest.top, name("x"), 0));
    assertEquals(-Linux.EINVAL, guest.fs.rename(guest.top, name("x"), guest.top, refused, 0));
  }

  @Test
  void absoluteAndRelativeLinksAreNodesAndNeverFollowed() throws IOException {
    Files.createSymbolicLink(inShare("absolute"), secret);
    Files.createSymbolicLink(inShare("relative"), Path.of("../secret"));
    Files.createSymbolicLink(inShare("folder"), host);
    for (String link : new String[] {"absolute", "relative", "folder"}) {
      long node = guest.find(link);
      assertTrue(guest.mode(node).startsWith("12"), link);
      assertEquals(-Linux.ELOOP, guest.fs.open(node, Linux.O_RDONLY, false), link);
      assertEquals(-Linux.ENOTDIR, guest.fs.openDirectory(node), link);
      assertEquals(-Linux.ENOTDIR, guest.lookup(node, "secret"), link);
      guest.change.clear().size(0);
      assertEquals(
          -Linux.EINVAL,
          guest.fs.setAttributes(node, SharedFileSystem.NO_HANDLE, guest.change, guest.attributes));
    }
    assertEquals("secret", Files.readString(secret));
  }

  @Test
  void changingAttributesOfALinkLeavesItsTargetAlone() throws IOException {
    Files.createSymbolicLink(inShare("link"), secret);
    long node = guest.find("link");
    guest.change.clear().uid(1234).gid(1234).modifyTime(1, 0);
    assertEquals(
        0,
        guest.fs.setAttributes(node, SharedFileSystem.NO_HANDLE, guest.change, guest.attributes));
    assertEquals(1234, guest.attributes.uid());
    assertEquals(0, Files.getAttribute(secret, "unix:uid"));
    assertNotEquals(1000, Files.getLastModifiedTime(secret).toMillis());
    guest.change.clear().mode(0777);
    assertEquals(
        -Linux.EOPNOTSUPP,
        guest.fs.setAttributes(node, SharedFileSystem.NO_HANDLE, guest.change, guest.attributes));
  }

  @Test
  void creatingOverALinkDoesNotFollowIt() throws IOException {
    Files.createSymbolicLink(inShare("link"), secret);
    Files.createSymbolicLink(inShare("dangling"), host.resolve("new"));
    for (String link : new String[] {"link", "dangling"}) {
      int flags = Linux.O_RDWR | Linux.O_TRUNC;
      assertEquals(
          -Linux.ELOOP,
          guest.fs.create(guest.caller, guest.top, name(link), 0644, flags, guest.entry),
          link);
    }
    assertEquals("secret", Files.readString(secret));
    assertFalse(Files.exists(host.resolve("new")));
  }

  @Test
  void linkSwappedInBetweenLookupAndOpenChangesNothing() throws IOException {
    Files.writeString(inShare("file"), "mine");
    long node = guest.find("file");
    Files.move(inShare("file"), inShare("away"));
    Files.createSymbolicLink(inShare("file"), secret);
    long handle = guest.fs.open(node, Linux.O_RDONLY, false);
    assertEquals("mine", guest.read(handle, 0, 100));
    assertTrue(guest.mode(guest.find("file")).startsWith("12"));
  }

  @Test
  void linkSwappedInForAFolderIsNotEntered() throws IOException {
    Files.createDirectory(inShare("sub"));
    long sub = guest.find("sub");
    Files.move(inShare("sub"), inShare("away"));
    Files.createSymbolicLink(inShare("sub"), host);
    assertEquals(-Linux.ENOENT, guest.lookup(sub, "secret"));
    int flags = Linux.O_RDWR;
    assertTrue(guest.fs.create(guest.caller, sub, name("new"), 0644, flags, guest.entry) >= 0);
    assertTrue(Files.exists(inShare("away").resolve("new")));
  }

  @Test
  void folderMovedOutOfTheShareLeadsDownOnly() throws IOException {
    Files.createDirectory(inShare("sub"));
    Files.writeString(inShare("sub").resolve("file"), "mine");
    long sub = guest.find("sub");
    long handle = guest.fs.openDirectory(sub);
    Files.move(inShare("sub"), host.resolve("moved"));
    // As for a process whose working directory is moved out of a bind mount.
    long file = guest.lookup(sub, "file");
    assertEquals("mine", guest.read(guest.fs.open(file, Linux.O_RDONLY, false), 0, 10));
    assertEquals(-Linux.ENOENT, guest.lookup(sub, "secret"));
    assertEquals(-Linux.ENOENT, guest.lookup(guest.top, "sub"));
    assertEquals(0, guest.fs.release(handle));
  }

  @Test
  void nodesAndHandlesThatWereNeverGivenAreRefused() throws IOException {
    Files.writeString(inShare("file"), "mine");
    long node = guest.find("file");
    long handle = guest.fs.open(node, Linux.O_RDWR, false);
    long[] forged = {
      0, -1, 5, 1000, node + 1, node | 1L << 32, node | 1L << 63, 0xffffffffL, Long.MIN_VALUE
    };
    for (long id : forged) {
      String which = Long.toHexString(id);
      assertEquals(-Linux.ESTALE, guest.lookup(id, "x"), which);
      assertEquals(-Linux.ESTALE, guest.fs.getAttributes(id, guest.attributes), which);
      assertEquals(-Linux.ESTALE, guest.fs.open(id, Linux.O_RDONLY, false), which);
      assertEquals(-Linux.ESTALE, guest.fs.openDirectory(id), which);
      assertEquals(-Linux.ESTALE, guest.fs.unlink(id, name("file")), which);
      assertEquals(-Linux.ESTALE, guest.fs.link(id, guest.top, name("l"), guest.entry), which);
      assertEquals(-Linux.ESTALE, guest.fs.link(node, id, name("l"), guest.entry), which);
      assertEquals(-Linux.ESTALE, guest.fs.rename(id, name("a"), guest.top, name("b"), 0), which);
      assertEquals(-Linux.ESTALE, guest.fs.rename(guest.top, name("a"), id, name("b"), 0), which);
      assertEquals(-Linux.ESTALE, guest.fs.statFs(id, new FsStatistics()), which);
      assertEquals(-Linux.ESTALE, guest.fs.syncFs(id), which);
      guest.fs.forget(id, 1);
    }
    for (long id : forged) {
      if (id == handle) {
        continue;
      }
      assertEquals("errno " + Linux.EBADF, guest.read(id, 0, 10));
      assertEquals(-Linux.EBADF, guest.write(id, "x", 0));
      assertEquals(-Linux.EBADF, guest.fs.fsync(id, false));
      assertEquals(-Linux.EBADF, guest.fs.release(id));
      assertEquals(-Linux.EBADF, guest.fs.copyRange(handle, 0, id, 0, 1, 0, false));
      assertEquals(-Linux.EBADF, guest.fs.readDirectory(id, 0, (a, b, c, d, e, f) -> false));
    }
    assertEquals("mine", guest.read(handle, 0, 10));
  }

  @Test
  void idThatWasForgottenStaysInvalidWhenItsPlaceIsUsedAgain() throws IOException {
    Files.writeString(inShare("one"), "1");
    Files.writeString(inShare("two"), "2");
    long one = guest.find("one");
    guest.fs.forget(one, 1);
    long two = guest.find("two");
    assertEquals((int) one, (int) two);
    assertNotEquals(one, two);
    assertEquals(-Linux.ESTALE, guest.fs.getAttributes(one, guest.attributes));
    long handle = guest.open("two", Linux.O_RDONLY);
    assertEquals(0, guest.fs.release(handle));
    assertEquals(-Linux.EBADF, guest.fs.release(handle));
    long again = guest.open("two", Linux.O_RDONLY);
    assertEquals("errno " + Linux.EBADF, guest.read(handle, 0, 1));
    assertEquals("2", guest.read(again, 0, 1));
  }

  @Test
  void fileHandleIsNoFolderHandleNorTheOtherWay() throws IOException {
    Files.writeString(inShare("file"), "mine");
    long file = guest.open("file", Linux.O_RDWR);
    long folder = guest.fs.openDirectory(guest.top);
    assertEquals(-Linux.EBADF, guest.fs.readDirectory(file, 0, (a, b, c, d, e, f) -> true));
    assertEquals("errno " + Linux.EBADF, guest.read(folder, 0, 1));
    assertEquals(-Linux.EBADF, guest.write(folder, "x", 0));
    assertEquals(-Linux.EBADF, guest.fs.fallocate(folder, 0, 0, 1, false));
  }

  @Test
  void devicesFifosAndSocketsAreNeverOpenedOnTheHost() {
    int[] types = {Linux.S_IFIFO, Linux.S_IFSOCK, Linux.S_IFCHR, Linux.S_IFBLK};
    for (int type : types) {
      Name name = name("special" + type);
      assertEquals(
          0,
          guest.fs.makeNode(guest.caller, guest.top, name, type | 0666, NULL_DEVICE, guest.entry));
      long node = guest.entry.node();
      // A FIFO that were opened would hang, which the time limit shows.
      assertEquals(-Linux.ENXIO, guest.fs.open(node, Linux.O_RDWR, false));
      assertEquals(-Linux.ENXIO, guest.fs.open(node, Linux.O_RDONLY | Linux.O_TRUNC, false));
      assertEquals(
          -Linux.ENXIO,
          guest.fs.create(guest.caller, guest.top, name, 0644, Linux.O_WRONLY, guest.entry));
      assertEquals(0, guest.fs.syncFs(node));
    }
  }

  @Test
  void oneShareIsNoWayIntoAnother() throws IOException {
    Path other = Files.createDirectory(host.resolve("other"));
    guest.share("other", other, false);
    long second = guest.lookup(SharedFileSystem.ROOT, "other");
    Files.writeString(inShare("file"), "mine");
    long file = guest.find("file");
    assertEquals(-Linux.EXDEV, guest.fs.link(file, second, name("file"), guest.entry));
    assertEquals(-Linux.EXDEV, guest.fs.rename(guest.top, name("file"), second, name("file"), 0));
    assertEquals(-Linux.EROFS, guest.fs.unlink(SharedFileSystem.ROOT, name("other")));
    assertEquals(
        -Linux.EROFS,
        guest.fs.rename(SharedFileSystem.ROOT, name("other"), guest.top, name("x"), 0));
    assertEquals(
        -Linux.EROFS,
        guest.fs.makeDirectory(guest.caller, SharedFileSystem.ROOT, name("x"), 0755, guest.entry));
  }

  @Test
  void fileOfTwoSharesKeepsTheRightsOfEach() throws IOException {
    Files.writeString(inShare("file"), "mine");
    guest.share("ro", guest.folder, true);
    long writable = guest.find("file");
    long readable = guest.lookup(guest.lookup(SharedFileSystem.ROOT, "ro"), "file");
    assertNotEquals(writable, readable);
    assertEquals(-Linux.EROFS, guest.fs.open(readable, Linux.O_RDWR, false));
    assertTrue(guest.fs.open(writable, Linux.O_RDWR, false) >= 0);
  }

  @Test
  void whatShowsTheHostsKernelIsOutOfReachWhereverItIsMounted() throws IOException {
    String proc = Files.createDirectory(inShare("proc")).toString();
    Libc.mount("proc", proc, "proc", 0, null);
    try {
      assertEquals(-Linux.EACCES, guest.lookup(guest.top, "proc"));
    } finally {
      Libc.umount2(proc, 0);
    }
    assertNotEquals(-Linux.EACCES, guest.lookup(guest.top, "proc"));
  }
}
