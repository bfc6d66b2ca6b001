package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.memory;
import static io.rund.kvm.fs.FsFixture.name;
import static io.rund.kvm.fs.FsFixture.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Attributes, extended attributes and ACLs are the host's. */
class InodesTest {
  private static final int XATTR_CREATE = 1;
  private static final int XATTR_REPLACE = 2;

  @TempDir Path host;

  private FsFixture guest;
  private SharedFileSystem fs;
  private long file;

  @BeforeEach
  void share() throws IOException {
    guest = new FsFixture(host);
    fs = guest.fs;
    Files.writeString(host.resolve("file"), "text");
    file = guest.find("file");
  }

  @AfterEach
  void close() {
    guest.close();
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private int change(long node) {
    return fs.setAttributes(node, SharedFileSystem.NO_HANDLE, guest.change, guest.attributes);
  }

  private int set(long node, String name, String value, int flags) {
    return fs.setXattr(node, text(name), memory(value), flags, false);
  }

  /** The value, or "errno N". */
  private String get(long node, String name) {
    MemorySegment out = Arena.ofAuto().allocate(65536);
    int length = fs.getXattr(node, text(name), out);
    return length < 0
        ? "errno " + -length
        : new String(
            out.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1);
  }

  private Set<String> list(long node) {
    MemorySegment out = Arena.ofAuto().allocate(65536);
    int length = fs.listXattr(node, out);
    assertTrue(length >= 0, () -> "listXattr: " + length);
    String all =
        new String(
            out.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1);
    Set<String> names = new HashSet<>(Arrays.asList(all.split("\0")));
    names.remove("");
    return names;
  }

  /** struct posix_acl_xattr_header and entries: include/uapi/linux/posix_acl_xattr.h. */
  private static MemorySegment acl(int... tagPermissionId) {
    MemorySegment acl = Arena.ofAuto().allocate(4 + tagPermissionId.length / 3 * 8L, 4);
    acl.set(ValueLayout.JAVA_INT, 0, 2);
    for (int i = 0; i < tagPermissionId.length; i += 3) {
      long at = 4 + i / 3 * 8L;
      acl.set(ValueLayout.JAVA_SHORT, at, (short) tagPermissionId[i]);
      acl.set(ValueLayout.JAVA_SHORT, at + 2, (short) tagPermissionId[i + 1]);
      acl.set(ValueLayout.JAVA_INT, at + 4, tagPermissionId[i + 2]);
    }
    return acl;
  }

  @Test
  void attributesAreThoseOfTheHost() throws IOException {
    assertEquals(0, fs.getAttributes(file, guest.attributes));
    Path path = host.resolve("file");
    Attributes seen = guest.attributes;
    assertEquals(Files.getAttribute(path, "unix:ino"), seen.inode());
    assertEquals(Files.getAttribute(path, "unix:mode"), seen.mode());
    assertEquals(Files.getAttribute(path, "unix:nlink"), seen.links());
    assertEquals(4, seen.size());
    assertEquals(4096, seen.blockSize());
    assertEquals(8, seen.blocks());
    long millis = Files.getLastModifiedTime(path).toMillis();
    assertEquals(millis, seen.modifySeconds() * 1000 + seen.modifyNanos() / 1_000_000);
    assertTrue(seen.changeSeconds() * 1000 + seen.changeNanos() / 1_000_000 >= millis);
  }

  @Test
  void everyAttributeCanBeSetAndOthersStay() {
    guest.change.clear().mode(04711);
    assertEquals(0, change(file));
    assertEquals("104711", Integer.toOctalString(guest.attributes.mode()));
    guest.change.clear().accessTime(-5, 123_456_789).modifyTime(4_000_000_000L, 1);
    assertEquals(0, change(file));
    assertEquals(-5, guest.attributes.accessSeconds());
    assertEquals(123_456_789, guest.attributes.accessNanos());
    assertEquals(4_000_000_000L, guest.attributes.modifySeconds());
    assertEquals(1, guest.attributes.modifyNanos());
    guest.change.clear().accessTimeNow();
    assertEquals(0, change(file));
    long now = System.currentTimeMillis() / 1000;
    assertTrue(Math.abs(guest.attributes.accessSeconds() - now) < 10);
    assertEquals(4_000_000_000L, guest.attributes.modifySeconds());
    guest.change.clear().uid(-2).gid(70_000);
    assertEquals(0, change(file));
    assertEquals(-2, guest.attributes.uid());
    assertEquals(70_000, guest.attributes.gid());
    assertEquals("100711", Integer.toOctalString(guest.attributes.mode()));
    guest.change.clear().gid(5);
    assertEquals(0, change(file));
    assertEquals(-2, guest.attributes.uid());
    guest.change.clear();
    assertEquals(0, change(file));
    guest.change.clear().modifyTime(1, 2_000_000_000);
    assertEquals(-Linux.EINVAL, change(file));
  }

  @Test
  void filesAreCutByNodeAndByHandle() throws IOException {
    guest.change.clear().size(2);
    assertEquals(0, change(file));
    assertEquals(2, guest.attributes.size());
    long handle = guest.open("file", Linux.O_RDWR);
    guest.change.clear().size(3);
    assertEquals(0, fs.setAttributes(file, handle, guest.change, guest.attributes));
    assertEquals("te\0", Files.readString(host.resolve("file")));
    assertEquals(-Linux.EBADF, fs.setAttributes(file, 1 << 20, guest.change, guest.attributes));
    assertEquals(-Linux.EISDIR, change(guest.top));
    guest.change.clear().size(-7);
    assertEquals(-Linux.EINVAL, change(file));
    guest.change.clear().size(Long.MAX_VALUE);
    assertEquals(-Linux.EFBIG, change(file));
    assertEquals(
        0, fs.makeNode(guest.caller, guest.top, name("fifo"), Linux.S_IFIFO, 0, guest.entry));
    guest.change.clear().size(0);
    assertEquals(-Linux.EINVAL, change(guest.entry.node()));
    assertEquals(-Linux.EROFS, change(SharedFileSystem.ROOT));
  }

  @Test
  void xattrsAreKeptWithTheFile() {
    for (String name : new String[] {"user.a", "trusted.a", "security.a"}) {
      assertEquals(0, set(file, name, "value", XATTR_CREATE), name);
      assertEquals("value", get(file, name));
      assertEquals(-Linux.EEXIST, set(file, name, "x", XATTR_CREATE));
      assertEquals(0, set(file, name, "", XATTR_REPLACE));
      assertEquals("", get(file, name));
      assertTrue(list(file).contains(name));
      assertEquals(0, fs.removeXattr(file, text(name)));
      assertEquals("errno " + Linux.ENODATA, get(file, name));
      assertEquals(-Linux.ENODATA, fs.removeXattr(file, text(name)));
    }
    assertEquals(0, set(file, "user.a", "12345", 0));
    assertEquals(5, fs.getXattr(file, text("user.a"), MemorySegment.NULL));
    assertEquals(-Linux.ERANGE, fs.getXattr(file, text("user.a"), Arena.ofAuto().allocate(4)));
    assertTrue(fs.listXattr(file, MemorySegment.NULL) > 0);
    assertEquals(-Linux.E2BIG, set(file, "user.b", "x".repeat(65537), 0));
    assertEquals(-Linux.ERANGE, set(file, "user." + "x".repeat(251), "", 0));
    assertEquals("errno " + Linux.ENODATA, get(SharedFileSystem.ROOT, "user.a"));
    assertEquals(Set.of(), list(SharedFileSystem.ROOT));
  }

  @Test
  void xattrsOfOtherKindsAreTheHostsBusiness() {
    for (String name : new String[] {"system.nfs4_acl", "btrfs.compression", "a", "os2.x"}) {
      assertEquals(-Linux.EOPNOTSUPP, set(file, name, "x", 0), name);
      assertEquals("errno " + Linux.EOPNOTSUPP, get(file, name), name);
      assertEquals(-Linux.EOPNOTSUPP, fs.removeXattr(file, text(name)), name);
    }
  }

  @Test
  void linksFifosAndFoldersHaveXattrsOfTheirOwn() throws IOException {
    Files.createSymbolicLink(host.resolve("link"), Path.of("file"));
    long link = guest.find("link");
    assertEquals(0, set(link, "trusted.a", "link", 0));
    assertEquals("link", get(link, "trusted.a"));
    assertEquals("errno " + Linux.ENODATA, get(file, "trusted.a"));
    assertEquals(-Linux.EPERM, set(link, "user.a", "x", 0));
    assertEquals(
        0, fs.makeNode(guest.caller, guest.top, name("fifo"), Linux.S_IFIFO, 0, guest.entry));
    long fifo = guest.entry.node();
    assertEquals(0, set(fifo, "security.a", "fifo", 0));
    assertEquals(Set.of("security.a"), list(fifo));
    assertEquals(0, set(guest.top, "user.a", "folder", 0));
    assertEquals("folder", get(guest.top, "user.a"));
  }

  @Test
  void fileCapabilitiesGoWithAWrite() {
    // struct vfs_cap_data, revision 2: cap_net_raw, effective.
    MemorySegment capability = Arena.ofAuto().allocate(20, 4);
    capability.set(ValueLayout.JAVA_INT, 0, 0x02000001);
    capability.set(ValueLayout.JAVA_INT, 4, 1 << 13);
    Text name = text("security.capability");
    assertEquals(0, fs.setXattr(file, name, capability, 0, false));
    assertTrue(list(file).contains("security.capability"));
    guest.write(guest.open("file", Linux.O_RDWR), "x", 0);
    assertEquals("errno " + Linux.ENODATA, get(file, "security.capability"));
  }

  @Test
  void accessAclShowsInTheMode() {
    int none = -1;
    MemorySegment acl = acl(1, 6, none, 2, 6, 1000, 4, 4, none, 0x10, 6, none, 0x20, 0, none);
    assertEquals(0, fs.setXattr(file, text("system.posix_acl_access"), acl, 0, false));
    assertEquals("100660", guest.mode(file));
    assertEquals(
        (int) acl.byteSize(),
        fs.getXattr(file, text("system.posix_acl_access"), Arena.ofAuto().allocate(100)));
    guest.change.clear().mode(0600);
    assertEquals(0, change(file));
    assertEquals("100600", guest.mode(file));
  }

  @Test
  void aclOfOneOutsideTheGroupClearsSetgid() {
    int none = -1;
    MemorySegment acl = acl(1, 7, none, 4, 5, none, 0x20, 0, none);
    Text name = text("system.posix_acl_access");
    guest.change.clear().gid(1234);
    assertEquals(0, change(file));
    guest.change.clear().mode(02755);
    assertEquals(0, change(file));
    assertEquals(0, fs.setXattr(file, name, acl, 0, false));
    assertEquals("102750", guest.mode(file));
    assertEquals(0, fs.setXattr(file, name, acl, 0, true));
    assertEquals("100750", guest.mode(file));
  }

  @Test
  void defaultAclTakesThePlaceOfTheUmask() {
    int none = -1;
    assertEquals(0, fs.makeDirectory(guest.caller, guest.top, name("folder"), 0755, guest.entry));
    long folder = guest.entry.node();
    MemorySegment acl = acl(1, 7, none, 2, 7, 1000, 4, 7, none, 0x10, 7, none, 0x20, 5, none);
    assertEquals(0, fs.setXattr(folder, text("system.posix_acl_default"), acl, 0, false));
    guest.caller.set(1000, 1000, 077);
    assertTrue(fs.create(guest.caller, folder, name("file"), 0666, Linux.O_RDWR, guest.entry) >= 0);
    assertEquals("100664", guest.mode(guest.entry.node()));
    assertEquals(0, fs.makeDirectory(guest.caller, folder, name("sub"), 0777, guest.entry));
    assertEquals("40775", guest.mode(guest.entry.node()));
    assertTrue(list(guest.entry.node()).contains("system.posix_acl_default"));
  }
}
