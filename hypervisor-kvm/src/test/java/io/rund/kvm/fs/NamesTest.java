package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static io.rund.kvm.fs.FsFixture.text;
import static io.rund.kvm.fs.FsFixture.zeroTerminated;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Names are found, made, moved and removed as on the host. */
class NamesTest {
  private static final int RENAME_WHITEOUT = 4;

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

  private void makeDirectory(String name, int mode) {
    assertEquals(0, fs.makeDirectory(guest.caller, guest.top, name(name), mode, guest.entry));
  }

  private int rename(String from, String to, int flags) {
    return fs.rename(guest.top, name(from), guest.top, name(to), flags);
  }

  private String hostMode(String name) throws IOException {
    int mode = (int) Files.getAttribute(host.resolve(name), "unix:mode");
    return Integer.toOctalString(mode & 07777);
  }

  private int owner(String name, String which) throws IOException {
    return (int) Files.getAttribute(host.resolve(name), "unix:" + which);
  }

  @Test
  void whatIsMadeBelongsToTheCallerAndObeysItsUmask() throws IOException {
    guest.caller.set(1000, 2000, 027);
    makeDirectory("folder", 0777);
    int flags = Linux.O_RDWR;
    assertTrue(fs.create(guest.caller, guest.top, name("file"), 0666, flags, guest.entry) >= 0);
    assertEquals(1000, guest.entry.attributes().uid());
    assertEquals(0, fs.symlink(guest.caller, guest.top, name("link"), text("x"), guest.entry));
    assertEquals(
        0,
        fs.makeNode(guest.caller, guest.top, name("fifo"), Linux.S_IFIFO | 0666, 0, guest.entry));
    for (String name : new String[] {"folder", "file", "fifo"}) {
      assertEquals(1000, owner(name, "uid"), name);
      assertEquals(2000, owner(name, "gid"), name);
    }
    guest.find("link");
    assertEquals(1000, guest.entry.attributes().uid());
    assertEquals(2000, guest.entry.attributes().gid());
    assertEquals("750", hostMode("folder"));
    assertEquals("640", hostMode("file"));
    assertEquals("640", hostMode("fifo"));
    // What is made next for someone else is not mixed up with it.
    guest.caller.set(0, 0, 0);
    makeDirectory("open", 01777);
    assertEquals("1777", hostMode("open"));
    assertEquals(0, owner("open", "uid"));
  }

  @Test
  void whatTheGuestsKernelAllowsTheHostDoesNotForbid() throws IOException {
    // The guest's kernel has already decided that its process may: root there, or a group.
    makeDirectory("closed", 0);
    long closed = guest.find("closed");
    guest.caller.set(1000, 1000, 022);
    assertEquals(0, fs.makeDirectory(guest.caller, closed, name("sub"), 0755, guest.entry));
    assertEquals(1000, owner("closed/sub", "uid"));
  }

  @Test
  void setgidFolderHandsItsGroupDown() throws IOException {
    makeDirectory("folder", 0755);
    long folder = guest.find("folder");
    guest.change.clear().gid(3000);
    assertEquals(0, fs.setAttributes(folder, -1, guest.change, guest.attributes));
    guest.change.clear().mode(02775);
    assertEquals(0, fs.setAttributes(folder, -1, guest.change, guest.attributes));
    guest.caller.set(1000, 1000, 022);
    assertTrue(fs.create(guest.caller, folder, name("file"), 0666, 1, guest.entry) >= 0);
    assertEquals(0, fs.makeDirectory(guest.caller, folder, name("sub"), 0777, guest.entry));
    assertEquals(3000, owner("folder/file", "gid"));
    assertEquals(3000, owner("folder/sub", "gid"));
    assertEquals("2755", hostMode("folder/sub"));
  }

  @Test
  void createOpensWhatIsThereUnlessItMustBeNew() throws IOException {
    Files.writeString(host.resolve("file"), "old");
    long handle = fs.create(guest.caller, guest.top, name("file"), 0600, Linux.O_RDWR, guest.entry);
    assertEquals("old", guest.read(handle, 0, 10));
    long truncated =
        fs.create(
            guest.caller, guest.top, name("file"), 0600, Linux.O_RDWR | Linux.O_TRUNC, guest.entry);
    assertEquals("", guest.read(truncated, 0, 10));
    assertEquals(
        -Linux.EEXIST,
        fs.create(
            guest.caller, guest.top, name("file"), 0600, Linux.O_RDWR | Linux.O_EXCL, guest.entry));
    makeDirectory("folder", 0755);
    assertEquals(
        -Linux.EISDIR,
        fs.create(guest.caller, guest.top, name("folder"), 0600, Linux.O_RDWR, guest.entry));
  }

  @Test
  void createdFileCanBeWrittenThoughItsModeForbidsIt() throws IOException {
    long handle =
        fs.create(guest.caller, guest.top, name("file"), 0400, Linux.O_WRONLY, guest.entry);
    assertEquals(3, guest.write(handle, "new", 0));
    assertEquals("new", Files.readString(host.resolve("file")));
    assertEquals("400", hostMode("file"));
  }

  @Test
  void deviceNodesKeepTheirNumbers() throws IOException {
    // 259:1000000 needs all parts of the encoding.
    int device = 259 << 8 | (1_000_000 & 0xff) | (1_000_000 & ~0xff) << 12;
    assertEquals(
        0,
        fs.makeNode(
            guest.caller, guest.top, name("disk"), Linux.S_IFBLK | 0660, device, guest.entry));
    assertEquals(device, guest.entry.attributes().device());
    assertEquals("60640", guest.mode(guest.entry.node()));
    long rdev = (long) Files.getAttribute(host.resolve("disk"), "unix:rdev");
    assertEquals(Integer.toUnsignedLong(device), rdev);
  }

  @Test
  void linksAreMadeAndRead() throws IOException {
    String target = "../some/where/" + "x".repeat(4000);
    assertEquals(0, fs.symlink(guest.caller, guest.top, name("link"), text(target), guest.entry));
    MemorySegment out = Arena.ofAuto().allocate(5000);
    assertEquals(target.length(), fs.readLink(guest.entry.node(), out));
    assertEquals(target, out.getString(0));
    Files.writeString(host.resolve("file"), "");
    assertEquals(-Linux.EINVAL, fs.readLink(guest.find("file"), out));
    byte[] tooLong = new byte[4096];
    java.util.Arrays.fill(tooLong, (byte) 'x');
    assertEquals(-Linux.ENAMETOOLONG, new Text().set(zeroTerminated(tooLong), 0, 4097));
  }

  @Test
  void hardLinksAreOneNodeAlsoOfLinksAndSpecialFiles() throws IOException {
    Files.writeString(host.resolve("file"), "x");
    Files.createSymbolicLink(host.resolve("link"), Path.of("nowhere"));
    assertEquals(
        0, fs.makeNode(guest.caller, guest.top, name("fifo"), Linux.S_IFIFO, 0, guest.entry));
    for (String name : new String[] {"file", "link", "fifo"}) {
      long node = guest.find(name);
      assertEquals(0, fs.link(node, guest.top, name(name + "2"), guest.entry), name);
      assertEquals(node, guest.entry.node(), name);
      assertEquals(2, guest.entry.attributes().links(), name);
      assertEquals(-Linux.EEXIST, fs.link(node, guest.top, name(name), guest.entry));
    }
    assertTrue(Files.isSymbolicLink(host.resolve("link2")));
    makeDirectory("folder", 0755);
    assertEquals(
        -Linux.EPERM, fs.link(guest.find("folder"), guest.top, name("folder2"), guest.entry));
  }

  @Test
  void temporaryFileHasNoNameUntilItIsLinked() throws IOException {
    guest.caller.set(1000, 1000, 022);
    long handle = fs.temporaryFile(guest.caller, guest.top, 0666, Linux.O_RDWR, guest.entry);
    assertTrue(handle >= 0, () -> "O_TMPFILE: " + handle);
    long node = guest.entry.node();
    assertEquals(0, guest.entry.attributes().links());
    assertEquals(1000, guest.entry.attributes().uid());
    assertEquals(4, guest.write(handle, "text", 0));
    try (var files = Files.list(host)) {
      assertEquals(0, files.count());
    }
    assertEquals(0, fs.link(node, guest.top, name("file"), guest.entry));
    assertEquals(node, guest.entry.node());
    assertEquals("text", Files.readString(host.resolve("file")));
    assertEquals("644", hostMode("file"));
    long never =
        fs.temporaryFile(guest.caller, guest.top, 0600, Linux.O_RDWR | Linux.O_EXCL, guest.entry);
    assertTrue(never >= 0);
    assertEquals(-Linux.ENOENT, fs.link(guest.entry.node(), guest.top, name("other"), guest.entry));
  }

  @Test
  void unlinkedFileLivesOnWhileItIsKnown() throws IOException {
    Files.writeString(host.resolve("file"), "text");
    long node = guest.find("file");
    long handle = guest.open("file", Linux.O_RDWR);
    assertEquals(0, fs.unlink(guest.top, name("file")));
    assertEquals(-Linux.ENOENT, guest.lookup(guest.top, "file"));
    assertEquals("text", guest.read(handle, 0, 10));
    assertEquals(0, fs.getAttributes(node, guest.attributes));
    assertEquals(0, guest.attributes.links());
    // Another file of the same name is another node.
    Files.writeString(host.resolve("file"), "");
    assertNotEquals(node, guest.find("file"));
    long again = fs.open(node, Linux.O_RDONLY, false);
    assertEquals("text", guest.read(again, 0, 10));
    guest.change.clear().mode(0600).size(2).modifyTime(5, 6);
    assertEquals(0, fs.setAttributes(node, -1, guest.change, guest.attributes));
    assertEquals("te", guest.read(handle, 0, 10));
  }

  @Test
  void foldersAndFilesAreRemovedEachInItsWay() throws IOException {
    makeDirectory("folder", 0755);
    Files.writeString(host.resolve("folder/file"), "");
    assertEquals(-Linux.EISDIR, fs.unlink(guest.top, name("folder")));
    assertEquals(-Linux.ENOTEMPTY, fs.removeDirectory(guest.top, name("folder")));
    long folder = guest.find("folder");
    assertEquals(-Linux.ENOTDIR, fs.removeDirectory(folder, name("file")));
    assertEquals(0, fs.unlink(folder, name("file")));
    assertEquals(0, fs.removeDirectory(guest.top, name("folder")));
    assertEquals(-Linux.ENOENT, fs.removeDirectory(guest.top, name("folder")));
    assertEquals(
        -Linux.ENOENT, fs.makeDirectory(guest.caller, folder, name("sub"), 0755, guest.entry));
  }

  @Test
  void renameReplacesRefusesOrExchanges() throws IOException {
    Files.writeString(host.resolve("a"), "a");
    Files.writeString(host.resolve("b"), "b");
    long a = guest.find("a");
    assertEquals(-Linux.EEXIST, rename("a", "b", Linux.RENAME_NOREPLACE));
    assertEquals(0, rename("a", "b", Linux.RENAME_EXCHANGE));
    assertEquals("a", Files.readString(host.resolve("b")));
    assertEquals(a, guest.find("b"));
    assertEquals(0, rename("b", "a", 0));
    assertEquals("a", Files.readString(host.resolve("a")));
    assertFalse(Files.exists(host.resolve("b")));
    assertEquals(-Linux.ENOENT, rename("b", "c", 0));
    assertEquals(-Linux.EINVAL, rename("a", "c", RENAME_WHITEOUT));
    assertEquals(-Linux.EINVAL, rename("a", "c", 0x100));
  }

  @Test
  void renamedFolderStaysTheSameNodeWithWhatIsInIt() throws IOException {
    makeDirectory("one", 0755);
    makeDirectory("two", 0755);
    Files.writeString(host.resolve("one/file"), "x");
    long one = guest.find("one");
    long two = guest.find("two");
    long file = guest.lookup(one, "file");
    assertEquals(0, fs.rename(guest.top, name("one"), two, name("moved"), 0));
    assertEquals(one, guest.lookup(two, "moved"));
    assertEquals(file, guest.lookup(one, "file"));
    assertEquals(-Linux.EINVAL, fs.rename(guest.top, name("two"), one, name("loop"), 0));
    assertEquals(-Linux.ENOTEMPTY, fs.removeDirectory(two, name("moved")));
  }

  @Test
  void namesAreBytesUpTo255() throws IOException {
    String longest = "n".repeat(255);
    makeDirectory(longest, 0755);
    assertTrue(Files.isDirectory(host.resolve(longest)));
    byte[] odd = {(byte) 0xff, '\n', (byte) 0xc3};
    Name name = new Name();
    assertEquals(4, name.set(zeroTerminated(odd), 0, 4));
    assertEquals(0, fs.makeDirectory(guest.caller, guest.top, name, 0755, guest.entry));
    assertEquals(0, fs.lookup(guest.top, name, guest.entry));
    String[] found = new String[1];
    long handle = fs.openDirectory(guest.top);
    assertEquals(
        0,
        fs.readDirectory(
            handle,
            0,
            (bytes, offset, length, inode, type, next) -> {
              if (length == odd.length && inode == guest.entry.attributes().inode()) {
                found[0] =
                    new String(
                        bytes
                            .asSlice(offset, length)
                            .toArray(java.lang.foreign.ValueLayout.JAVA_BYTE),
                        StandardCharsets.ISO_8859_1);
              }
              return true;
            }));
    assertEquals(new String(odd, StandardCharsets.ISO_8859_1), found[0]);
    assertEquals(0, fs.removeDirectory(guest.top, name));
  }

  @Test
  void readOnlyShareRefusesEveryChange() throws IOException {
    Files.createDirectory(host.resolve("folder"));
    Files.writeString(host.resolve("file"), "x");
    guest.share("ro", host, true);
    long top = guest.lookup(SharedFileSystem.ROOT, "ro");
    long file = guest.lookup(top, "file");
    Caller caller = guest.caller;
    Entry entry = guest.entry;
    Name new1 = name("new");
    int erofs = -Linux.EROFS;
    assertEquals(erofs, fs.makeDirectory(caller, top, new1, 0755, entry));
    assertEquals(erofs, fs.makeNode(caller, top, new1, Linux.S_IFREG, 0, entry));
    assertEquals(erofs, fs.symlink(caller, top, new1, text("x"), entry));
    assertEquals(erofs, fs.create(caller, top, new1, 0644, Linux.O_RDONLY, entry));
    assertEquals(erofs, fs.temporaryFile(caller, top, 0644, Linux.O_RDWR, entry));
    assertEquals(erofs, fs.link(file, top, new1, entry));
    assertEquals(erofs, fs.rename(top, name("file"), top, new1, 0));
    assertEquals(erofs, fs.unlink(top, name("file")));
    assertEquals(erofs, fs.removeDirectory(top, name("folder")));
    assertEquals(erofs, fs.open(file, Linux.O_WRONLY, false));
    assertEquals(erofs, fs.open(file, Linux.O_RDWR, false));
    assertEquals(erofs, fs.open(file, Linux.O_RDONLY | Linux.O_TRUNC, false));
    guest.change.clear().modifyTimeNow();
    assertEquals(erofs, fs.setAttributes(file, -1, guest.change, guest.attributes));
    assertEquals(erofs, fs.setXattr(file, text("user.a"), FsFixture.memory("x"), 0, false));
    assertEquals(erofs, fs.removeXattr(file, text("user.a")));
    long handle = fs.open(file, Linux.O_RDONLY, false);
    assertEquals("x", guest.read(handle, 0, 10));
    assertEquals(-Linux.EBADF, guest.write(handle, "y", 0));
    guest.change.clear().size(0);
    assertEquals(erofs, fs.setAttributes(file, handle, guest.change, guest.attributes));
    assertEquals(-Linux.EBADF, fs.fallocate(handle, 0, 0, 10, false));
    assertEquals("x", Files.readString(host.resolve("file")));
  }

  @Test
  void hostMountInAShareIsMarked() throws Exception {
    Path mount = Files.createDirectory(host.resolve("mount"));
    makeDirectory("plain", 0755);
    assertFalse(guest.entry.submount());
    run("mount", "-t", "tmpfs", "none", mount.toString());
    try {
      long node = guest.find("mount");
      assertTrue(guest.entry.submount());
      assertEquals(0, fs.makeDirectory(guest.caller, node, name("sub"), 0755, guest.entry));
      assertFalse(guest.entry.submount());
      assertEquals(-Linux.EXDEV, fs.rename(node, name("sub"), guest.top, name("sub"), 0));
      assertEquals(-Linux.EBUSY, fs.removeDirectory(guest.top, name("mount")));
      fs.remove("data");
    } finally {
      run("umount", "-l", mount.toString());
    }
  }

  private static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
  }
}
