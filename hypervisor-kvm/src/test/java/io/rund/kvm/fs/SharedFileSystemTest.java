package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.name;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Shares that come and go, nodes that are counted, and bounds. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class SharedFileSystemTest {
  private static final int BOUND = 50;

  @TempDir Path host;

  private FsFixture guest;

  @BeforeEach
  void share() throws IOException {
    guest = new FsFixture(Files.createDirectory(host.resolve("share")), BOUND);
  }

  @AfterEach
  void close() {
    guest.close();
    assertEquals(0, FsFixture.descriptorsIn(host));
    assertEquals(0, guest.budget.used());
  }

  private Path file(String name) throws IOException {
    return Files.writeString(guest.folder.resolve(name), name);
  }

  private RundException refused(String name, Path root) {
    Fd fd = Fd.open(root.toString(), Linux.O_PATH);
    RundException refusal =
        assertThrows(
            RundException.class, () -> guest.fs.add(new Share(name, fd, false, CachePolicy.AUTO)));
    assertFalse(fd.isOpen());
    return refusal;
  }

  @Test
  void rootFolderListsTheShares() throws IOException {
    guest.share("config", file("config"), true);
    assertEquals(List.of(".", "..", "data", "config"), guest.list(SharedFileSystem.ROOT, 1));
    assertEquals(0, guest.fs.getAttributes(SharedFileSystem.ROOT, guest.attributes));
    assertEquals("40555", Integer.toOctalString(guest.attributes.mode()));
    assertEquals(-Linux.ENOENT, guest.lookup(SharedFileSystem.ROOT, "nothing"));
    assertEquals(0, guest.fs.statFs(SharedFileSystem.ROOT, new FsStatistics()));
    assertEquals(0, guest.fs.syncFs(SharedFileSystem.ROOT));
    guest.fs.forget(SharedFileSystem.ROOT, 1);
    assertEquals(0, guest.fs.getAttributes(SharedFileSystem.ROOT, guest.attributes));
  }

  @Test
  void folderShareIsAFileSystemOfItsOwnAndItsNameIsNotCached() {
    assertEquals(guest.top, guest.lookup(SharedFileSystem.ROOT, "data"));
    assertTrue(guest.entry.submount());
    assertEquals(CachePolicy.NONE, guest.entry.nameCache());
    assertEquals(CachePolicy.AUTO, guest.entry.attributes().cache());
    assertEquals(CachePolicy.AUTO, guest.fs.cachePolicy(guest.top));
  }

  @Test
  void regularFileCanBeAShare() throws IOException {
    guest.share("config", file("config"), false);
    long node = guest.lookup(SharedFileSystem.ROOT, "config");
    assertFalse(guest.entry.submount());
    long handle = guest.fs.open(node, Linux.O_RDWR, false);
    assertEquals("config", guest.read(handle, 0, 100));
    assertEquals(3, guest.write(handle, "CON", 0));
    assertEquals("CONfig", Files.readString(guest.folder.resolve("config")));
    assertEquals(-Linux.ENOTDIR, guest.lookup(node, "x"));
  }

  @Test
  void whatCannotBeSharedIsRefusedWithAReasonAndItsDescriptorClosed() throws IOException {
    assertEquals(ErrorCode.ALREADY_EXISTS, refused("data", guest.folder).code());
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused("null", Path.of("/dev/null")).code());
    for (String name : new String[] {"", "..", ".hidden", "a/b", "x".repeat(256)}) {
      assertEquals(ErrorCode.INVALID_ARGUMENT, refused(name, guest.folder).code(), name);
    }
    guest.fs.close();
    assertEquals(ErrorCode.FAILED_PRECONDITION, refused("late", guest.folder).code());
  }

  @Test
  void fileIsOneNodeUntilItIsForgottenAsOftenAsItWasFound() throws IOException {
    Files.createLink(guest.folder.resolve("second"), file("first"));
    long node = guest.find("first");
    assertEquals(node, guest.find("second"));
    assertEquals(node, guest.find("first"));
    long open = FsFixture.descriptorsIn(host);
    guest.fs.forget(node, 2);
    assertEquals(0, guest.fs.getAttributes(node, guest.attributes));
    guest.fs.forget(node, 1);
    assertEquals(-Linux.ESTALE, guest.fs.getAttributes(node, guest.attributes));
    assertEquals(open - 1, FsFixture.descriptorsIn(host));
  }

  @Test
  void forgettingMoreThanWasFoundIsForgettingAll() throws IOException {
    file("file");
    long node = guest.find("file");
    guest.fs.forget(node, -1);
    assertEquals(-Linux.ESTALE, guest.fs.getAttributes(node, guest.attributes));
    guest.fs.forget(node, 1);
    assertEquals(0, guest.fs.getAttributes(guest.find("file"), guest.attributes));
  }

  @Test
  void guestThatForgetsNothingHitsItsBoundAndMakesNothingThen() throws IOException {
    for (int i = 0; i < BOUND; i++) {
      file("file" + i);
    }
    int found = 0;
    while (guest.lookup(guest.top, "file" + found) > 0) {
      found++;
    }
    assertEquals(BOUND - 1, found);
    assertEquals(-Linux.ENFILE, guest.lookup(guest.top, "file" + found));
    assertEquals(BOUND, guest.budget.used());
    long known = guest.find("file0");
    assertEquals(-Linux.ENFILE, guest.fs.open(known, Linux.O_RDONLY, false));
    assertEquals(-Linux.ENFILE, guest.fs.openDirectory(guest.top));
    Caller caller = guest.caller;
    Entry entry = guest.entry;
    assertEquals(
        -Linux.ENFILE, guest.fs.makeDirectory(caller, guest.top, name("new"), 0755, entry));
    assertEquals(-Linux.ENFILE, guest.fs.create(caller, guest.top, name("new"), 0644, 1, entry));
    assertEquals(-Linux.ENFILE, guest.fs.temporaryFile(caller, guest.top, 0600, 1, entry));
    assertFalse(Files.exists(guest.folder.resolve("new")));
    guest.fs.forget(known, 100);
    assertEquals(0, guest.fs.makeDirectory(caller, guest.top, name("new"), 0755, entry));
  }

  @Test
  void oneSandboxAtItsBoundLeavesTheOthersTheirShare() throws IOException {
    NodeBudget both = new NodeBudget(100, 10);
    NodeBudget.Part first = both.part();
    NodeBudget.Part second = both.part();
    int taken = 0;
    while (first.take()) {
      taken++;
    }
    assertEquals(10, taken);
    assertTrue(second.take());
    assertEquals(11, both.used());
    second.give();
    first.give();
    assertTrue(first.take());
  }

  @Test
  void sandboxesThatTakeAllTheyCanLeaveSomeForOneThatComes() {
    NodeBudget all = new NodeBudget(100, 90);
    NodeBudget.Part[] parts = {all.part(), all.part(), all.part(), all.part()};
    int[] taken = new int[parts.length];
    boolean more = true;
    while (more) {
      more = false;
      for (int i = 0; i < 3; i++) {
        if (parts[i].take()) {
          taken[i]++;
          more = true;
        }
      }
    }
    while (parts[3].take()) {
      taken[3]++;
    }
    assertArrayEquals(new int[] {25, 25, 25, 13}, taken);
  }

  @Test
  void removedShareIsGoneWithEveryDescriptor() throws IOException {
    Path other = Files.createDirectory(host.resolve("other"));
    Files.writeString(other.resolve("file"), "x");
    guest.share("other", other, false);
    long top = guest.lookup(SharedFileSystem.ROOT, "other");
    long node = guest.lookup(top, "file");
    long file = guest.fs.open(node, Linux.O_RDWR, false);
    long folder = guest.fs.openDirectory(top);
    assertEquals(5, FsFixture.descriptorsIn(other));
    guest.fs.remove("other");
    assertEquals(0, FsFixture.descriptorsIn(other));
    assertEquals(-Linux.ENOENT, guest.lookup(SharedFileSystem.ROOT, "other"));
    assertEquals(-Linux.ESTALE, guest.lookup(top, "file"));
    assertEquals(-Linux.ESTALE, guest.fs.open(node, Linux.O_RDONLY, false));
    assertEquals("errno " + Linux.EBADF, guest.read(file, 0, 1));
    assertEquals(-Linux.EBADF, guest.fs.readDirectory(folder, 0, (a, b, c, d, e, f) -> false));
    assertEquals(guest.top, guest.lookup(SharedFileSystem.ROOT, "data"));
    guest.fs.remove("other");
    guest.share("other", other, false);
    assertTrue(guest.lookup(SharedFileSystem.ROOT, "other") > 0);
  }

  @Test
  void sharesComeAndGoUnderLoadAndNoCallFindsAForeignFile() throws Exception {
    Path other = Files.createDirectory(host.resolve("other"));
    Files.writeString(other.resolve("file"), "x".repeat(4096));
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong reads = new AtomicLong();
    CompletableFuture<?>[] workers = new CompletableFuture<?>[4];
    for (int i = 0; i < workers.length; i++) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      workers[i] = done;
      Thread.ofPlatform()
          .start(
              () -> {
                try {
                  WorkerCredentials.prepareThread();
                  while (!stop.get()) {
                    reads.addAndGet(readOnce());
                  }
                  done.complete(null);
                } catch (Throwable e) {
                  done.completeExceptionally(e);
                }
              });
    }
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(700);
    int cycles = 0;
    while (System.nanoTime() < end || reads.get() == 0) {
      guest.share("other", other, false);
      Thread.sleep(1);
      guest.fs.remove("other");
      // Takes the numbers that have become free: who still used one would read this.
      try (Fd fd = Fd.open("/dev/zero", Linux.O_RDONLY)) {
        assertTrue(fd.isOpen());
      }
      cycles++;
    }
    stop.set(true);
    CompletableFuture.allOf(workers).get(20, TimeUnit.SECONDS);
    assertEquals(0, FsFixture.descriptorsIn(other), cycles + " cycles, " + reads + " reads");
  }

  /** Walks to the file and reads it; returns 1 if the share stayed that long. */
  private int readOnce() {
    Entry entry = new Entry();
    if (guest.fs.lookup(SharedFileSystem.ROOT, name("other"), entry) < 0) {
      return 0;
    }
    long top = entry.node();
    int found = guest.fs.lookup(top, name("file"), entry);
    assertTrue(found == 0 || found == -Linux.ESTALE, () -> "lookup " + found);
    long file = found < 0 ? 0 : entry.node();
    long handle = found < 0 ? found : guest.fs.open(file, Linux.O_RDONLY, false);
    int result = 0;
    if (handle >= 0) {
      MemorySegment data = Arena.ofAuto().allocate(100);
      IoVector vector = new IoVector(1);
      vector.add(data.address(), 100);
      long n = guest.fs.read(handle, vector, 0);
      assertTrue(n == 100 || n == -Linux.EBADF, () -> "read " + n);
      if (n == 100) {
        assertEquals('x', data.get(java.lang.foreign.ValueLayout.JAVA_BYTE, 99));
        result = 1;
      }
      guest.fs.release(handle);
    }
    guest.fs.forget(file, 1);
    guest.fs.forget(top, 1);
    return result;
  }
}
