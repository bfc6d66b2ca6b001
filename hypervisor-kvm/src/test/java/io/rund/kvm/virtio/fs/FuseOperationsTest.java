package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.fs.FuseGuest.ENTRY;
import static io.rund.kvm.virtio.fs.FuseGuest.ROOT;
import static io.rund.kvm.virtio.fs.FuseGuest.ints;
import static io.rund.kvm.virtio.fs.FuseGuest.longs;
import static io.rund.kvm.virtio.fs.FuseGuest.text;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import io.rund.kvm.virtio.fs.FuseGuest.Answer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Each request of the protocol against a folder of the host. */
class FuseOperationsTest extends FuseTest {
  private static final int O_RDWR = Linux.O_RDWR;
  private static final int SEEK_DATA = 3;

  private static String string(ByteBuffer body) {
    return StandardCharsets.UTF_8.decode(body).toString();
  }

  private static Object attribute(Path path, String name) throws IOException {
    return Files.getAttribute(path, "unix:" + name, LinkOption.NOFOLLOW_LINKS);
  }

  @Test
  void lookupTellsNodeAndAttributes() throws IOException {
    Path file = write("file", "hello");
    ByteBuffer entry = guest.ask(FuseGuest.LOOKUP, share, ENTRY, text("file")).ok().body();
    assertEquals(ENTRY, entry.remaining());
    assertNotEquals(0, entry.getLong(0));
    assertEquals(1, entry.getLong(16), "seconds for the name");
    assertEquals(1, entry.getLong(24), "seconds for the attributes");
    assertEquals(attribute(file, "ino"), entry.getLong(40));
    assertEquals(5, entry.getLong(48));
    assertEquals(attribute(file, "mode"), entry.getInt(100));
    assertEquals(1, entry.getInt(104));
    assertEquals(0, entry.getInt(124), "flags");
    assertEquals(-Linux.ENOENT, guest.lookupError(share, "none"));
    assertEquals(-Linux.ENOENT, guest.lookupError(ROOT, "none"));
  }

  @Test
  void shareIsMarkedAsAFileSystemOfItsOwn() {
    ByteBuffer entry = guest.ask(FuseGuest.LOOKUP, ROOT, ENTRY, text("v")).ok().body();
    assertEquals(1, entry.getInt(124), "FUSE_ATTR_SUBMOUNT");
    assertEquals(0, entry.getLong(16), "shares come and go");
  }

  @Test
  void attributesAreReadAndChanged() throws IOException {
    Path file = write("file", "hello");
    long node = guest.lookup(share, "file");
    ByteBuffer before = guest.ask(FuseGuest.GETATTR, node, 104, longs(0, 0)).ok().body();
    assertEquals(1, before.getLong(0));
    assertEquals(5, before.getLong(24));

    int valid = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
    ByteBuffer after =
        guest
            .ask(
                FuseGuest.SETATTR,
                node,
                104,
                ints(valid, 0),
                longs(0, 3, 0, 1000, 2000, 0),
                ints(111, 222, 0, 0640, 0, 12, 34, 0))
            .ok()
            .body();
    assertEquals(3, after.getLong(24));
    assertEquals(1000, after.getLong(40));
    assertEquals(2000, after.getLong(48));
    assertEquals(111, after.getInt(64));
    assertEquals(222, after.getInt(68));
    assertEquals(0100640, after.getInt(76));
    assertEquals(12, after.getInt(84));
    assertEquals(34, after.getInt(88));
    assertEquals("hel", Files.readString(file));
    assertEquals(12, attribute(file, "uid"));
  }

  @Test
  void statxTellsWhenAFileWasMade() throws IOException {
    Path file = write("file", "hello");
    long node = guest.lookup(share, "file");
    ByteBuffer out = guest.ask(FuseGuest.STATX, node, 288, longs(0, 0), ints(0, 0xfff)).ok().body();
    assertEquals(1, out.getLong(0));
    assertEquals(0x7ff, out.getInt(32) & 0x7ff);
    assertEquals(attribute(file, "mode"), (int) out.getShort(60) & 0xffff);
    assertEquals(attribute(file, "ino"), out.getLong(64));
    assertEquals(5, out.getLong(72));
    FileTime modified = (FileTime) attribute(file, "lastModifiedTime");
    assertEquals(modified.toInstant(), Instant.ofEpochSecond(out.getLong(144), out.getInt(152)));
    if ((out.getInt(32) & 0x800) != 0) {
      Instant made = Instant.ofEpochSecond(out.getLong(112), out.getInt(120));
      assertTrue(made.isAfter(modified.toInstant().minusSeconds(60)), made::toString);
    }
  }

  @Test
  void linksAreMadeAndRead() throws IOException {
    write("file", "hello");
    long node = guest.lookup(share, "file");
    guest.ask(FuseGuest.SYMLINK, share, ENTRY, text("soft", "../any/where")).ok();
    long soft = guest.lookup(share, "soft");
    Answer target = guest.ask(FuseGuest.READLINK, soft, 4095).ok();
    assertEquals("../any/where", string(target.body()));
    Answer hard = guest.ask(FuseGuest.LINK, share, ENTRY, longs(node), text("hard")).ok();
    assertEquals(node, hard.node());
    assertEquals(2, hard.body().getInt(104));
    assertEquals("../any/where", Files.readSymbolicLink(folder.resolve("soft")).toString());
  }

  @Test
  void filesAreMadeAsTheCallerAndRemoved() throws IOException {
    guest.uid = 1234;
    guest.gid = 2345;
    Files.setAttribute(folder, "unix:mode", 01777);
    int fifo = 0010666;
    guest.ask(FuseGuest.MKNOD, share, ENTRY, ints(fifo, 0, 022, 0), text("fifo")).ok();
    guest.ask(FuseGuest.MKDIR, share, ENTRY, ints(0777, 027), text("dir")).ok();
    int device = 1 << 8 | 3;
    guest.ask(FuseGuest.MKNOD, share, ENTRY, ints(0020600, device, 0, 0), text("null")).ok();
    assertEquals(0010644, attribute(folder.resolve("fifo"), "mode"));
    assertEquals(0040750, attribute(folder.resolve("dir"), "mode"));
    assertEquals(1234, attribute(folder.resolve("dir"), "uid"));
    assertEquals(2345, attribute(folder.resolve("dir"), "gid"));
    ByteBuffer entry = guest.ask(FuseGuest.LOOKUP, share, ENTRY, text("null")).ok().body();
    assertEquals(device, entry.getInt(116));
    assertEquals(
        -Linux.EEXIST, guest.ask(FuseGuest.MKDIR, share, ENTRY, ints(0, 0), text("dir")).error());
    guest.ask(FuseGuest.UNLINK, share, 0, text("fifo")).ok();
    guest.ask(FuseGuest.UNLINK, share, 0, text("null")).ok();
    assertEquals(-Linux.EISDIR, guest.ask(FuseGuest.UNLINK, share, 0, text("dir")).error());
    guest.ask(FuseGuest.RMDIR, share, 0, text("dir")).ok();
    assertEquals(0, folder.toFile().list().length);
  }

  @Test
  void filesAreRenamed() throws IOException {
    write("a", "A");
    write("b", "B");
    Files.createDirectory(folder.resolve("d"));
    long d = guest.lookup(share, "d");
    guest.ask(FuseGuest.RENAME, share, 0, longs(d), text("a", "a2")).ok();
    assertEquals("A", Files.readString(folder.resolve("d/a2")));
    Answer kept = guest.ask(FuseGuest.RENAME2, share, 0, longs(d), ints(1, 0), text("b", "a2"));
    assertEquals(-Linux.EEXIST, kept.error(), "RENAME_NOREPLACE");
    guest.ask(FuseGuest.RENAME2, share, 0, longs(d), ints(2, 0), text("b", "a2")).ok();
    assertEquals("B", Files.readString(folder.resolve("d/a2")));
    assertEquals("A", Files.readString(folder.resolve("b")));
    Answer whiteout = guest.ask(FuseGuest.RENAME2, share, 0, longs(d), ints(4, 0), text("b", "c"));
    assertEquals(-Linux.EINVAL, whiteout.error());
  }

  @Test
  void filesAreReadAndWrittenInPlace() throws IOException {
    byte[] content = new byte[1 << 20];
    new Random(1).nextBytes(content);
    Path file = Files.write(folder.resolve("file"), content);
    long handle = guest.open(guest.lookup(share, "file"), O_RDWR).ok().handle();
    Answer all = guest.read(handle, 0, 1 << 20).ok();
    assertEquals(FuseGuest.OUT_HEADER + (1 << 20), all.written());
    byte[] read = new byte[1 << 20];
    all.body().get(read);
    assertArrayEquals(content, read);
    assertEquals(10, guest.read(handle, (1 << 20) - 10, 4096).ok().body().remaining());
    assertEquals(0, guest.read(handle, 1 << 21, 4096).ok().body().remaining());

    byte[] change = Arrays.copyOfRange(content, 5, 100_005);
    Answer written = guest.write(handle, 300_000, change).ok();
    assertEquals(100_000, written.body().getInt(0));
    System.arraycopy(change, 0, content, 300_000, change.length);
    assertArrayEquals(content, Files.readAllBytes(file));
    assertEquals(0, guest.release(handle));
    assertEquals(-Linux.EBADF, guest.release(handle));
    assertEquals(-Linux.EBADF, guest.read(handle, 0, 16).error());
  }

  @Test
  void appendGoesToTheEndWhereverItIs() throws IOException {
    Path file = write("file", "hello");
    long handle = guest.open(guest.lookup(share, "file"), O_RDWR | 0x400).ok().handle();
    byte[] in = FuseGuest.writeArguments(handle, 0, 6, Linux.O_APPEND);
    guest.ask(FuseGuest.WRITE, 0, 8, in, " world".getBytes(StandardCharsets.US_ASCII)).ok();
    assertEquals("hello world", Files.readString(file));
  }

  @Test
  void filesAreCreatedOpen() throws IOException {
    Answer made =
        guest
            .ask(FuseGuest.CREATE, share, ENTRY + 16, ints(O_RDWR, 0100666, 022, 0), text("new"))
            .ok();
    long handle = made.body().getLong(ENTRY);
    guest.write(handle, 0, new byte[] {'x'}).ok();
    guest.ask(FuseGuest.FLUSH, made.node(), 0, longs(handle), ints(0, 0), longs(0)).ok();
    assertEquals("x", Files.readString(folder.resolve("new")));
    assertEquals(0100644, attribute(folder.resolve("new"), "mode"));

    Answer unnamed =
        guest
            .ask(FuseGuest.TMPFILE, share, ENTRY + 16, ints(O_RDWR, 0100600, 0, 0), text("/"))
            .ok();
    long temporary = unnamed.body().getLong(ENTRY);
    guest.write(temporary, 0, new byte[] {'t'}).ok();
    guest.ask(FuseGuest.LINK, share, ENTRY, longs(unnamed.node()), text("named")).ok();
    assertEquals("t", Files.readString(folder.resolve("named")));
  }

  @Test
  void filesAreAllocatedCopiedAndSynced() throws IOException {
    write("from", "0123456789");
    long from = guest.open(guest.lookup(share, "from"), O_RDWR).ok().handle();
    Path file = write("to", "");
    long to = guest.open(guest.lookup(share, "to"), O_RDWR).ok().handle();
    Answer copied =
        guest.ask(FuseGuest.COPY_FILE_RANGE, 0, 8, longs(from, 2, 0, to, 4096, 5, 0)).ok();
    assertEquals(5, copied.body().getInt(0));
    assertEquals(4101, Files.size(file));
    Answer data = guest.ask(FuseGuest.LSEEK, 0, 8, longs(to, 0), ints(SEEK_DATA, 0)).ok();
    assertTrue(data.body().getLong(0) <= 4096);
    guest.ask(FuseGuest.FALLOCATE, 0, 0, longs(to, 0, 10_000), ints(0, 0)).ok();
    assertEquals(10_000, Files.size(file));
    guest.ask(FuseGuest.FSYNC, 0, 0, longs(to), ints(1, 0)).ok();
    Files.setAttribute(file, "unix:mode", 06777);
    guest.ask(FuseGuest.FALLOCATE, 0, 0, longs(to, 0, 11_000), ints(0, 0)).ok();
    assertEquals(0106777, attribute(file, "mode"));
    guest.uid = 1000;
    guest.ask(FuseGuest.FALLOCATE, 0, 0, longs(to, 0, 12_000), ints(0, 0)).ok();
    assertEquals(0100777, attribute(file, "mode"), "setuid goes when a user changes the file");
    Files.setAttribute(file, "unix:mode", 06777);
    guest.ask(FuseGuest.COPY_FILE_RANGE, 0, 8, longs(from, 0, 0, to, 0, 5, 0)).ok();
    assertEquals(0100777, attribute(file, "mode"));
    guest.ask(FuseGuest.SYNCFS, share, 0, longs(0)).ok();
  }

  @Test
  void attributesWithNamesOfTheirOwn() throws IOException {
    write("file", "");
    long node = guest.lookup(share, "file");
    byte[] value = "value".getBytes(StandardCharsets.US_ASCII);
    guest.ask(FuseGuest.SETXATTR, node, 0, ints(5, 0, 0, 0), text("user.a"), value).ok();
    assertArrayEquals(value, (byte[]) Files.getAttribute(folder.resolve("file"), "user:a"));
    Answer size = guest.ask(FuseGuest.GETXATTR, node, 8, ints(0, 0), text("user.a")).ok();
    assertEquals(5, size.body().getInt(0));
    Answer got = guest.ask(FuseGuest.GETXATTR, node, 100, ints(100, 0), text("user.a")).ok();
    assertEquals("value", string(got.body()));
    Answer small = guest.ask(FuseGuest.GETXATTR, node, 100, ints(4, 0), text("user.a"));
    assertEquals(-Linux.ERANGE, small.error());
    Answer list = guest.ask(FuseGuest.LISTXATTR, node, 100, ints(100, 0)).ok();
    assertEquals("user.a\0", string(list.body()));
    assertEquals(7, guest.ask(FuseGuest.LISTXATTR, node, 8, ints(0, 0)).ok().body().getInt(0));
    assertEquals(-Linux.ERANGE, guest.ask(FuseGuest.LISTXATTR, node, 8, ints(6, 0)).error());

    guest.ask(FuseGuest.SETXATTR, node, 0, ints(5, 0, 0, 0), text("trusted.a"), value).ok();
    int both = 7 + "trusted.a\0".length();
    assertEquals(both, guest.ask(FuseGuest.LISTXATTR, node, 8, ints(0, 0)).body().getInt(0));
    guest.uid = 1000;
    assertEquals(7, guest.ask(FuseGuest.LISTXATTR, node, 8, ints(0, 0)).body().getInt(0));
    list = guest.ask(FuseGuest.LISTXATTR, node, 100, ints(7, 0)).ok();
    assertEquals("user.a\0", string(list.body()));
    guest.uid = 0;
    guest.ask(FuseGuest.REMOVEXATTR, node, 0, text("user.a")).ok();
    Answer gone = guest.ask(FuseGuest.GETXATTR, node, 100, ints(100, 0), text("user.a"));
    assertEquals(-Linux.ENODATA, gone.error());
  }

  @Test
  void olderKernelsSetAttributesInTheShorterForm() throws IOException {
    guest.init(31, 0, 0).ok();
    write("file", "");
    long node = guest.walk("v", "file");
    guest.ask(FuseGuest.SETXATTR, node, 0, ints(1, 0), text("user.a"), new byte[] {'x'}).ok();
    assertArrayEquals(
        new byte[] {'x'}, (byte[]) Files.getAttribute(folder.resolve("file"), "user:a"));
  }

  @Test
  void fileSystemTellsItsSpace() {
    ByteBuffer statistics = guest.ask(FuseGuest.STATFS, share, 80).ok().body();
    assertTrue(statistics.getLong(0) > 0);
    assertEquals(255, statistics.getInt(44));
  }

  private record Found(long node, int type) {}

  /** Reads a folder to its end, in answers of {@code size} bytes. */
  private Map<String, Found> list(long node, boolean plus, int size) {
    Answer opened = guest.ask(FuseGuest.OPENDIR, node, 16, ints(0, 0)).ok();
    Map<String, Found> all = new TreeMap<>();
    long cookie = 0;
    while (true) {
      Answer answer =
          guest.ask(
              plus ? FuseGuest.READDIRPLUS : FuseGuest.READDIR,
              node,
              size,
              FuseGuest.readArguments(opened.handle(), cookie, size));
      ByteBuffer body = answer.ok().body();
      if (!body.hasRemaining()) {
        break;
      }
      for (int at = 0; at < body.remaining(); ) {
        long found = plus ? body.getLong(at) : 0;
        int dirent = plus ? at + ENTRY : at;
        cookie = body.getLong(dirent + 8);
        byte[] name = new byte[body.getInt(dirent + 16)];
        body.get(dirent + 24, name);
        String text = new String(name, StandardCharsets.UTF_8);
        Found old = all.put(text, new Found(found, body.getInt(dirent + 20)));
        assertEquals(null, old, "twice");
        at = (dirent + 24 + name.length + 7) & -8;
      }
    }
    guest.ask(FuseGuest.RELEASEDIR, node, 0, longs(opened.handle()), ints(0, 0), longs(0)).ok();
    return all;
  }

  @Test
  void largeFoldersAreReadInPieces() throws IOException {
    Set<String> names = new HashSet<>(List.of(".", ".."));
    for (int i = 0; i < 300; i++) {
      String name = "file-" + i + "x".repeat(i % 200);
      write(name, "");
      names.add(name);
    }
    Files.createDirectory(folder.resolve("sub"));
    names.add("sub");
    Map<String, Found> plain = list(share, false, 4096);
    assertEquals(names, plain.keySet());
    assertEquals(4, plain.get("sub").type());
    assertEquals(8, plain.get("file-0").type());
    Map<String, Found> plus = list(share, true, 4096);
    assertEquals(names, plus.keySet());
    assertEquals(0, plus.get(".").node());
    assertEquals(0, plus.get("..").node());
    long node = plus.get("file-0").node();
    assertEquals(node, guest.lookup(share, "file-0"));
    assertEquals(Set.of(".", "..", "v"), list(ROOT, true, 4096).keySet());
  }

  @Test
  void folderIsSynced() {
    Answer opened = guest.ask(FuseGuest.OPENDIR, share, 16, ints(0, 0)).ok();
    guest.ask(FuseGuest.FSYNCDIR, share, 0, longs(opened.handle()), ints(0, 0)).ok();
  }
}
