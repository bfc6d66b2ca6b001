package io.rund.kvm.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** A folder of the host, shared as "data", and a guest that calls what it likes. For one thread. */
final class FsFixture implements AutoCloseable {
  static final int ROOT_USER = 0;

  final Path folder;
  final NodeBudget budget;
  final SharedFileSystem fs;
  final Caller caller = new Caller().set(ROOT_USER, ROOT_USER, 022);
  final Entry entry = new Entry();
  final Attributes attributes = new Attributes();
  final AttributeChange change = new AttributeChange();

  /** The share's own node. */
  final long top;

  FsFixture(Path folder) {
    this(folder, 1000);
  }

  FsFixture(Path folder, int bound) {
    this(folder, bound, _ -> {});
  }

  /**
   * @param before what is done before the guest's first look
   */
  FsFixture(Path folder, int bound, Consumer<FsFixture> before) {
    assertEquals("root", System.getProperty("user.name"), "these tests act for users: run as root");
    WorkerCredentials.prepareThread();
    this.folder = folder;
    this.budget = new NodeBudget(2 * bound, bound);
    this.fs = new SharedFileSystem("test", budget);
    share("data", folder, false);
    before.accept(this);
    this.top = lookup(SharedFileSystem.ROOT, "data");
  }

  void share(String name, Path root, boolean readOnly) {
    fs.add(new Share(name, Fd.open(root.toString(), Linux.O_PATH), readOnly, CachePolicy.AUTO));
  }

  static Name name(String text) {
    Name name = new Name();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    assertEquals(bytes.length + 1, name.set(zeroTerminated(bytes), 0, bytes.length + 1), text);
    return name;
  }

  static Text text(String text) {
    Text result = new Text();
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    assertEquals(bytes.length + 1, result.set(zeroTerminated(bytes), 0, bytes.length + 1));
    return result;
  }

  static MemorySegment zeroTerminated(byte[] bytes) {
    MemorySegment segment = Arena.ofAuto().allocate(bytes.length + 1);
    MemorySegment.copy(bytes, 0, segment, ValueLayout.JAVA_BYTE, 0, bytes.length);
    return segment;
  }

  static MemorySegment memory(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    MemorySegment segment = Arena.ofAuto().allocate(Math.max(1, bytes.length));
    MemorySegment.copy(bytes, 0, segment, ValueLayout.JAVA_BYTE, 0, bytes.length);
    return segment.asSlice(0, bytes.length);
  }

  /** The node, or a negative errno. */
  long lookup(long parent, String name) {
    int result = fs.lookup(parent, name(name), entry);
    return result < 0 ? result : entry.node();
  }

  /** A node that must be there. */
  long find(String name) {
    long node = lookup(top, name);
    assertTrue(node > 1, () -> "lookup of " + name + ": " + node);
    return node;
  }

  /** Opens what must open. */
  long open(String name, int flags) {
    long handle = fs.open(find(name), flags, false);
    assertTrue(handle >= 0, () -> "open of " + name + ": " + handle);
    return handle;
  }

  long write(long handle, String text, long offset) {
    return write(handle, text, offset, 0, false);
  }

  long write(long handle, String text, long offset, int flags, boolean killSuidGid) {
    MemorySegment data = memory(text);
    IoVector vector = new IoVector(4);
    vector.clear();
    vector.add(data.address(), data.byteSize());
    long written = fs.write(handle, vector, offset, flags, false, killSuidGid);
    assertTrue(data.scope().isAlive());
    return written;
  }

  /** What is there, or "errno N". */
  String read(long handle, long offset, int length) {
    MemorySegment data = Arena.ofAuto().allocate(length);
    IoVector vector = new IoVector(4);
    vector.clear();
    vector.add(data.address(), length / 2);
    vector.add(data.address() + length / 2, length - length / 2);
    long n = fs.read(handle, vector, offset);
    return n < 0
        ? "errno " + -n
        : new String(data.asSlice(0, n).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }

  /** Mode with type, in octal. */
  String mode(long node) {
    assertEquals(0, fs.getAttributes(node, attributes));
    return Integer.toOctalString(attributes.mode());
  }

  /** Names of a folder, some at a time, as a guest with a small buffer would. */
  List<String> list(long node, int atOnce) {
    long handle = fs.openDirectory(node);
    assertTrue(handle >= 0, () -> "openDirectory: " + handle);
    List<String> names = new ArrayList<>();
    long[] cookie = new long[1];
    int before;
    do {
      before = names.size();
      int full = before + atOnce;
      int result =
          fs.readDirectory(
              handle,
              cookie[0],
              (bytes, offset, length, inode, type, next) -> {
                if (names.size() == full) {
                  return false;
                }
                byte[] name = bytes.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
                names.add(new String(name, StandardCharsets.UTF_8));
                cookie[0] = next;
                return true;
              });
      assertEquals(0, result);
    } while (names.size() > before);
    assertEquals(0, fs.release(handle));
    return names;
  }

  /** Descriptors of this process that lead below a folder. */
  static long descriptorsIn(Path folder) {
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(fd -> target(fd).startsWith(folder.toString())).count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String target(Path fd) {
    try {
      return Files.readSymbolicLink(fd).toString();
    } catch (IOException e) {
      return "";
    }
  }

  @Override
  public void close() {
    fs.close();
  }
}
