package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Contents are read, written, punched, sought and copied as on the host. */
class FileIoTest {
  private static final long GIB = 1L << 30;
  private static final int COLLAPSE_RANGE = 8;
  private static final int UNKNOWN_MODE = 0x8000;

  @TempDir Path host;

  private FsFixture guest;
  private SharedFileSystem fs;
  private Path file;

  @BeforeEach
  void share() {
    guest = new FsFixture(host);
    fs = guest.fs;
    file = host.resolve("file");
  }

  @AfterEach
  void close() {
    guest.close();
    assertEquals(0, FsFixture.descriptorsIn(host));
  }

  private long create(String name, int flags) {
    long handle = fs.create(guest.caller, guest.top, name(name), 0644, flags, guest.entry);
    assertTrue(handle >= 0, () -> "create: " + handle);
    return handle;
  }

  private static IoVector vector(MemorySegment memory, long offset, long length) {
    IoVector vector = new IoVector(1);
    vector.add(memory.address() + offset, length);
    return vector;
  }

  private String mode() {
    return guest.mode(guest.find("file")).substring(2);
  }

  private void setMode(int mode) {
    guest.change.clear().mode(mode);
    assertEquals(0, fs.setAttributes(guest.find("file"), -1, guest.change, guest.attributes));
    assertEquals(Integer.toOctalString(mode), mode());
  }

  @Test
  void manyPiecesAreReadAndWrittenInOrder() throws IOException {
    byte[] content = new byte[1 << 20];
    new Random(1).nextBytes(content);
    MemorySegment memory = Arena.ofAuto().allocate(content.length);
    MemorySegment.copy(content, 0, memory, ValueLayout.JAVA_BYTE, 0, content.length);
    IoVector pieces = new IoVector(256);
    for (int i = 0; i < 256; i++) {
      pieces.add(memory.address() + i * 4096L, 4096);
    }
    long handle = create("file", Linux.O_RDWR);
    assertEquals(content.length, fs.write(handle, pieces, 3, 0, false, false));
    byte[] written = Files.readAllBytes(file);
    assertEquals(content.length + 3, written.length);
    assertArrayEquals(content, java.util.Arrays.copyOfRange(written, 3, written.length));
    memory.fill((byte) 0);
    assertEquals(content.length - 97, fs.read(handle, vector(memory, 0, content.length), 100));
    assertEquals(content[97], memory.get(ValueLayout.JAVA_BYTE, 0));
    assertEquals(0, fs.read(handle, vector(memory, 0, 10), content.length + 3));
  }

  @Test
  void accessModeIsTheHosts() throws IOException {
    Files.writeString(file, "text");
    long reader = guest.open("file", Linux.O_RDONLY);
    long writer = guest.open("file", Linux.O_WRONLY);
    assertEquals(-Linux.EBADF, guest.write(reader, "x", 0));
    assertEquals("errno " + Linux.EBADF, guest.read(writer, 0, 4));
    assertEquals(-Linux.EINVAL, fs.open(guest.find("file"), Linux.O_ACCMODE, false));
    assertEquals(-Linux.EISDIR, fs.open(guest.top, Linux.O_RDONLY, false));
    assertEquals(-Linux.EISDIR, fs.open(SharedFileSystem.ROOT, Linux.O_RDONLY, false));
    assertEquals(-Linux.EINVAL, guest.write(writer, "x", -1));
    assertEquals(-Linux.EINVAL, guest.write(writer, "x", Long.MIN_VALUE));
    assertEquals("errno " + Linux.EINVAL, guest.read(reader, -1, 4));
    assertEquals(-Linux.EFBIG, guest.write(writer, "x", Long.MAX_VALUE - 1));
    long truncated = guest.open("file", Linux.O_RDWR | Linux.O_TRUNC);
    assertEquals("", guest.read(truncated, 0, 4));
  }

  @Test
  void appendersNeverWriteOverEachOther() throws IOException {
    long one = create("file", Linux.O_WRONLY | Linux.O_APPEND);
    long two = guest.open("file", Linux.O_WRONLY | Linux.O_APPEND);
    // Both guests believe that the file is empty.
    assertEquals(4, guest.write(one, "one\n", 0, Linux.O_APPEND, false));
    assertEquals(4, guest.write(two, "two\n", 0, Linux.O_APPEND, false));
    assertEquals("one\ntwo\n", Files.readString(file));
  }

  @Test
  void pageCacheWritesWhereItSaysThoughTheFileIsOpenForAppending() throws IOException {
    Files.writeString(file, "0123456789");
    long handle = guest.open("file", Linux.O_RDWR | Linux.O_APPEND);
    MemorySegment data = FsFixture.memory("xx");
    assertEquals(2, fs.write(handle, vector(data, 0, 2), 3, Linux.O_APPEND, true, false));
    assertEquals("012xx56789", Files.readString(file));
    assertEquals(2, guest.write(handle, "yy", 0));
    assertEquals("yy2xx56789", Files.readString(file));
  }

  @Test
  void synchronousWritesArrive() throws IOException {
    long handle = create("file", Linux.O_RDWR | Linux.O_SYNC);
    assertEquals(1, guest.write(handle, "a", 0, Linux.O_SYNC, false));
    assertEquals(1, guest.write(handle, "b", 1, Linux.O_DSYNC | Linux.O_APPEND, false));
    assertEquals(0, fs.fsync(handle, false));
    assertEquals(0, fs.fsync(handle, true));
    assertEquals(0, fs.flush(handle));
    assertEquals(0, fs.syncFs(guest.top));
    assertEquals("ab", Files.readString(file));
    long folder = fs.openDirectory(guest.top);
    assertEquals(0, fs.fsync(folder, false));
    assertEquals(-Linux.EBADF, fs.flush(1L << 40));
  }

  @Test
  void directWritesMustBeAlignedUnlessThePageCacheMakesThem() throws IOException {
    MemorySegment data = Arena.ofAuto().allocate(8192, 4096);
    data.fill((byte) 'x');
    long handle = create("file", Linux.O_RDWR | Linux.O_DIRECT);
    assertEquals(4096, fs.write(handle, vector(data, 0, 4096), 0, 0, false, false));
    assertEquals(4096, fs.read(handle, vector(data, 4096, 4096), 0));
    assertEquals(-Linux.EINVAL, fs.write(handle, vector(data, 0, 100), 4096, 0, false, false));
    assertEquals(100, fs.write(handle, vector(data, 0, 100), 4096, 0, true, false));
    assertEquals(4196, Files.size(file));
    assertEquals('x', Files.readString(file).charAt(4195));
  }

  @Test
  void writerWithoutThePrivilegeClearsSetuidAndSetgid() throws IOException {
    long handle = create("file", Linux.O_RDWR);
    setMode(06755);
    assertEquals(1, guest.write(handle, "x", 0, 0, false));
    assertEquals("6755", mode());
    assertEquals(1, guest.write(handle, "x", 0, 0, true));
    assertEquals("0755", mode());
    setMode(06755);
    guest.change.clear().size(0).killSuidGid(true);
    assertEquals(0, fs.setAttributes(guest.find("file"), -1, guest.change, guest.attributes));
    assertEquals("0755", mode());
    setMode(06755);
    long truncating = fs.open(guest.find("file"), Linux.O_WRONLY | Linux.O_TRUNC, true);
    assertTrue(truncating >= 0);
    assertEquals("0755", mode());
    // Without execution by the group, setgid means something else and stays.
    setMode(02644);
    assertEquals(1, guest.write(handle, "x", 0, 0, true));
    assertTrue(mode().equals("0644") || mode().equals("2644"), mode());
  }

  @Test
  void filesGrowBeyondFourGibibytes() throws IOException {
    long handle = create("file", Linux.O_RDWR);
    assertEquals(3, guest.write(handle, "end", 5 * GIB));
    assertEquals(5 * GIB + 3, Files.size(file));
    assertEquals("end", guest.read(handle, 5 * GIB, 10));
    guest.change.clear().size(6 * GIB);
    assertEquals(0, fs.setAttributes(guest.find("file"), handle, guest.change, guest.attributes));
    assertEquals(6 * GIB, guest.attributes.size());
    long reader = guest.open("file", Linux.O_RDONLY);
    assertEquals(0, fs.release(handle));
    assertEquals(5 * GIB, fs.seek(reader, 4096, Linux.SEEK_DATA) / GIB * GIB);
  }

  @Test
  void holesArePunchedZeroedAndCollapsed() throws IOException {
    long handle = create("file", Linux.O_RDWR);
    guest.write(handle, "x".repeat(64 * 1024), 0);
    int punch = Linux.FALLOC_FL_PUNCH_HOLE | Linux.FALLOC_FL_KEEP_SIZE;
    assertEquals(0, fs.fallocate(handle, punch, 16384, 16384, false));
    assertEquals("\0\0x", guest.read(handle, 32766, 3));
    assertEquals(0, fs.fallocate(handle, Linux.FALLOC_FL_ZERO_RANGE, 0, 4096, false));
    assertEquals("\0x", guest.read(handle, 4095, 2));
    assertEquals(0, fs.fallocate(handle, COLLAPSE_RANGE, 0, 4096, false));
    assertEquals(60 * 1024, Files.size(file));
    assertEquals(0, fs.fallocate(handle, 0, 100_000, 1, false));
    assertEquals(100_001, Files.size(file));
    assertEquals(-Linux.EOPNOTSUPP, fs.fallocate(handle, UNKNOWN_MODE, 0, 1, false));
    assertEquals(-Linux.EINVAL, fs.fallocate(handle, 0, -1, 1, false));
    long folder = fs.openDirectory(guest.top);
    assertEquals(-Linux.EBADF, fs.fallocate(folder, 0, 0, 1, false));
  }

  @Test
  void holesAreFoundUnlessTheGuestMayHaveDataInThem() throws IOException {
    long writer = create("file", Linux.O_RDWR);
    guest.write(writer, "x".repeat(64 * 1024), 0);
    int punch = Linux.FALLOC_FL_PUNCH_HOLE | Linux.FALLOC_FL_KEEP_SIZE;
    assertEquals(0, fs.fallocate(writer, punch, 16384, 16384, false));
    long reader = guest.open("file", Linux.O_RDONLY);
    assertEquals(64 * 1024, fs.seek(reader, 0, Linux.SEEK_HOLE));
    assertEquals(16384, fs.seek(reader, 16384, Linux.SEEK_DATA));
    assertEquals(-Linux.ENXIO, fs.seek(reader, 64 * 1024, Linux.SEEK_HOLE));
    assertEquals(-Linux.ENXIO, fs.seek(reader, -1, Linux.SEEK_DATA));
    assertEquals(0, fs.release(writer));
    assertEquals(16384, fs.seek(reader, 0, Linux.SEEK_HOLE));
    assertEquals(32768, fs.seek(reader, 16384, Linux.SEEK_DATA));
    assertEquals(-Linux.ENXIO, fs.seek(reader, 1 << 20, Linux.SEEK_DATA));
    assertEquals(-Linux.EINVAL, fs.seek(reader, 0, Linux.SEEK_SET));
  }

  @Test
  void rangesAreCopiedOnTheHost() throws IOException {
    Files.writeString(file, "0123456789");
    long from = guest.open("file", Linux.O_RDONLY);
    long to = create("copy", Linux.O_RDWR);
    assertEquals(5, fs.copyRange(from, 2, to, 1, 5, 0, false));
    assertEquals("\00023456", Files.readString(host.resolve("copy")));
    assertEquals(3, fs.copyRange(from, 7, to, 0, 100, 0, false));
    assertEquals(0, fs.copyRange(from, 10, to, 0, 100, 0, false));
    assertEquals(-Linux.EINVAL, fs.copyRange(from, 0, to, 0, 1, 1, false));
    assertEquals(-Linux.EBADF, fs.copyRange(to, 0, from, 0, 1, 0, false));
  }

  @Test
  void changeOfAnotherIsNoticedBetweenTwoOpenings() throws Exception {
    Files.writeString(file, "one");
    // So that the time of the change is not the time of a later one.
    Thread.sleep(150);
    long first = guest.open("file", Linux.O_RDONLY);
    assertFalse(fs.unchanged(first));
    long second = guest.open("file", Linux.O_RDONLY);
    assertTrue(fs.unchanged(second));
    Files.writeString(file, "two", StandardOpenOption.WRITE);
    assertFalse(fs.unchanged(guest.open("file", Linux.O_RDONLY)));
    // Too soon after the change to be sure that there is not one more.
    assertFalse(fs.unchanged(guest.open("file", Linux.O_RDONLY)));
    Thread.sleep(150);
    assertFalse(fs.unchanged(first));
    assertTrue(fs.unchanged(second));
  }

  @Test
  void fullDiskTakesWhatFitsAndThenSaysSo() throws Exception {
    Path small = Files.createDirectory(host.resolve("small"));
    String[] mount = {"mount", "-t", "tmpfs", "-o", "size=64k", "none", small.toString()};
    assertEquals(0, new ProcessBuilder(mount).start().waitFor());
    try {
      guest.share("small", small, false);
      long top = guest.lookup(SharedFileSystem.ROOT, "small");
      long handle = fs.create(guest.caller, top, name("f"), 0644, Linux.O_RDWR, guest.entry);
      // What fits is written, and the error comes with the next write.
      assertEquals(65536, guest.write(handle, "x".repeat(100_000), 0));
      assertEquals(-Linux.ENOSPC, guest.write(handle, "x", 65536));
      FsStatistics statistics = new FsStatistics();
      assertEquals(0, fs.statFs(top, statistics));
      assertEquals(16, statistics.blocks());
      assertEquals(0, statistics.availableBlocks());
      assertEquals(4096, statistics.blockSize());
      assertEquals(255, statistics.nameLength());
      fs.remove("small");
    } finally {
      assertEquals(0, new ProcessBuilder("umount", "-l", small.toString()).start().waitFor());
    }
  }
}
