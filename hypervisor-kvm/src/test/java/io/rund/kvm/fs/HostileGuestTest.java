package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static io.rund.kvm.fs.FsFixture.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.memory.IoVector;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Any operation with any arguments: an answer, no exception, nothing left behind. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class HostileGuestTest {
  private static final int ROUNDS = 20;
  private static final int OPERATIONS = 2000;
  private static final int BOUND = 200;
  private static final String[] XATTRS = {
    "user.a", "trusted.b", "security.capability", "system.posix_acl_access", "odd"
  };

  @TempDir Path host;

  private final Random random = new Random(20);
  private final MemorySegment memory = Arena.ofAuto().allocate(8192);
  private final long[] nodes = new long[64];
  private final long[] handles = new long[64];

  private long node() {
    return random.nextInt(20) == 0 ? random.nextLong() : nodes[random.nextInt(nodes.length)];
  }

  private long handle() {
    return random.nextInt(20) == 0 ? random.nextLong() : handles[random.nextInt(handles.length)];
  }

  private Name file() {
    return name("f" + random.nextInt(40));
  }

  private int bits() {
    return switch (random.nextInt(4)) {
      case 0 -> 0;
      case 1 -> 1 << random.nextInt(32);
      case 2 -> random.nextInt(0x800);
      default -> random.nextInt();
    };
  }

  private long offset() {
    return switch (random.nextInt(4)) {
      case 0 -> 0;
      case 1 -> random.nextInt(100_000);
      case 2 -> Long.MAX_VALUE - random.nextInt(10_000);
      default -> random.nextLong();
    };
  }

  private IoVector vector() {
    IoVector vector = new IoVector(1);
    vector.add(memory.address(), random.nextInt(8192));
    return vector;
  }

  private MemorySegment piece() {
    return memory.asSlice(0, random.nextInt(8192));
  }

  private Text xattr() {
    return text(XATTRS[random.nextInt(XATTRS.length)]);
  }

  private int noteNode(int result, Entry entry) {
    if (result >= 0) {
      nodes[random.nextInt(nodes.length)] = entry.node();
    }
    return result;
  }

  private void noteHandle(long handle) {
    if (handle >= 0) {
      handles[random.nextInt(handles.length)] = handle;
    }
  }

  private long any(SharedFileSystem fs, Entry entry) {
    Caller caller = new Caller().set(bits(), bits(), bits());
    boolean flag = random.nextBoolean();
    int result = 0;
    switch (random.nextInt(30)) {
      case 0, 1, 2 -> result = noteNode(fs.lookup(node(), file(), entry), entry);
      case 3 -> fs.forget(node(), random.nextInt(3));
      case 4 -> result = fs.getAttributes(node(), entry.attributes());
      case 5 -> result = fs.setAttributes(node(), flag ? -1 : handle(), change(), new Attributes());
      case 6 -> result = fs.readLink(node(), piece());
      case 7 -> result = fs.symlink(caller, node(), file(), text("../../secret"), entry);
      case 8 -> result = fs.makeNode(caller, node(), file(), bits(), bits(), entry);
      case 9 -> result = noteNode(fs.makeDirectory(caller, node(), file(), bits(), entry), entry);
      case 10 -> result = fs.unlink(node(), file());
      case 11 -> result = fs.removeDirectory(node(), file());
      case 12 -> result = fs.rename(node(), file(), node(), file(), random.nextInt(5));
      case 13 -> result = fs.link(node(), node(), file(), entry);
      case 14 -> noteHandle(fs.open(node(), bits(), flag));
      case 15, 16 -> noteHandle(fs.create(caller, node(), file(), bits(), bits(), entry));
      case 17 -> noteHandle(fs.temporaryFile(caller, node(), bits(), bits(), entry));
      case 18 -> noteHandle(fs.openDirectory(node()));
      case 19 -> result = fs.release(handle());
      case 20 -> result = fs.fsync(handle(), flag) + fs.flush(handle());
      case 21 -> result = fs.fallocate(handle(), bits(), offset(), offset(), false);
      case 22 -> result = fs.readDirectory(handle(), offset(), (a, b, c, d, e, f) -> bits() != 0);
      case 23 -> result = fs.setXattr(node(), xattr(), piece(), random.nextInt(4), flag);
      case 24 -> result = Math.min(fs.getXattr(node(), xattr(), piece()), 0);
      case 25 -> result = Math.min(fs.listXattr(node(), piece()), fs.removeXattr(node(), xattr()));
      case 26 -> result = fs.statFs(node(), new FsStatistics());
      case 27 -> {
        return fs.read(handle(), vector(), offset());
      }
      case 28 -> {
        return fs.write(handle(), vector(), offset(), bits(), flag, random.nextBoolean());
      }
      default -> {
        return flag
            ? fs.seek(handle(), offset(), random.nextInt(6))
            : fs.copyRange(
                handle(), offset(), handle(), offset(), offset(), random.nextInt(2), false);
      }
    }
    return result;
  }

  private AttributeChange change() {
    AttributeChange change = new AttributeChange();
    switch (random.nextInt(5)) {
      case 0 -> change.mode(bits());
      case 1 -> change.uid(bits()).gid(bits());
      case 2 -> change.size(offset());
      case 3 -> change.accessTime(offset(), bits()).modifyTime(offset(), bits());
      default -> change.modifyTimeNow().killSuidGid(true);
    }
    return change;
  }

  @Test
  void anythingIsAnsweredAndNothingIsLeftBehind() throws Exception {
    Path secret = Files.writeString(host.resolve("secret"), "secret");
    Path shared = Files.createDirectory(host.resolve("share"));
    // Small, since a guest may fill what it is given.
    run("mount", "-t", "tmpfs", "-o", "size=4m", "none", shared.toString());
    try (FsFixture guest = new FsFixture(shared, BOUND)) {
      int done = 0;
      for (int round = 0; round < ROUNDS; round++) {
        Arrays.fill(nodes, guest.lookup(SharedFileSystem.ROOT, "data"));
        for (int i = 0; i < OPERATIONS; i++) {
          long result = any(guest.fs, guest.entry);
          assertTrue(result > -4096, () -> "answer " + result);
          done += result >= 0 ? 1 : 0;
        }
        guest.fs.remove("data");
        assertEquals(0, guest.budget.used());
        assertEquals(0, FsFixture.descriptorsIn(host));
        guest.share("data", shared, false);
      }
      assertTrue(done > ROUNDS * OPERATIONS / 10, done + " succeeded");
    } finally {
      run("umount", "-l", shared.toString());
    }
    assertEquals("secret", Files.readString(secret));
    try (Stream<Path> left = Files.list(host)) {
      assertEquals(2, left.count());
    }
  }

  private static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
  }
}
