package io.rund.kvm.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.FsState.Kind;
import io.rund.kvm.fs.FsState.KnownFile;
import io.rund.kvm.fs.FsState.OpenHandle;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** States that no guest can have had, and those for which there is no room. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class FsStateDoorTest {
  private static final int BOUND = 10;

  @TempDir Path host;

  private final NodeBudget budget = new NodeBudget(2 * BOUND, BOUND);

  @BeforeEach
  void tree() throws IOException {
    Files.createDirectory(host.resolve("folder"));
    Files.writeString(host.resolve("file"), "text");
  }

  @AfterEach
  void nothingIsLeft() {
    assertEquals(0, FsFixture.descriptorsIn(host));
    assertEquals(0, budget.used());
  }

  private static long id(int place, int uses) {
    return place | (long) uses << 32;
  }

  private static KnownFile file(long id) {
    return new KnownFile(id, 1, 0, Linux.S_IFREG, Optional.of(new SharePath("file")));
  }

  private static FsState state(List<KnownFile> files, OpenHandle... handles) {
    return new FsState(
        List.of("data"), new SlotTable.Ids(8, 3), files, new SlotTable.Ids(8, 3), List.of(handles));
  }

  private ErrorCode refusal(FsState state) {
    try (SharedFileSystem fs = new SharedFileSystem("test", budget)) {
      Fd root = Fd.openPath(host.toString());
      fs.add(new Share("data", root, false, CachePolicy.AUTO));
      RundException refusal = assertThrows(RundException.class, () -> fs.restore(state));
      // The share's root is all that is open.
      assertEquals(1, FsFixture.descriptorsIn(host));
      assertEquals(0, budget.used());
      return refusal.code();
    }
  }

  private static void isDamaged(Runnable make) {
    RundException refusal = assertThrows(RundException.class, make::run);
    assertEquals(ErrorCode.FAILED_PRECONDITION, refusal.code());
    assertTrue(refusal.getMessage().startsWith("it is damaged"), refusal.getMessage());
  }

  @Test
  void pathsStayBelowTheShare() {
    for (String bad :
        new String[] {
          "/",
          "/a",
          "a/",
          "a//b",
          ".",
          "..",
          "../a",
          "a/..",
          "a/../b",
          "a/./b",
          "./a",
          "a\0b",
          "\0",
          "x".repeat(4096)
        }) {
      isDamaged(() -> new SharePath(bad));
    }
    for (String good :
        new String[] {"", "a", "a/b", "...", ".a", "a.", "..a/b..", "\n", "\u00ff"}) {
      assertEquals(good, new SharePath(good).bytes());
    }
  }

  @Test
  void idsAreInPlacesThatWereUsedAndNoneTwice() {
    for (long bad : new long[] {0, 1, -1, 8, id(2, 4), id(2, -1), id(-1, 0), Long.MIN_VALUE}) {
      isDamaged(() -> state(List.of(file(bad))));
      isDamaged(() -> state(List.of(), OpenHandle.of(bad, Kind.LOST)));
    }
    isDamaged(() -> state(List.of(file(2), file(2))));
    isDamaged(() -> state(List.of(file(2), file(id(2, 1)))));
    isDamaged(() -> state(List.of(file(3), file(2))));
    assertEquals(2, state(List.of(file(2), file(id(7, 3)))).files().size());
  }

  @Test
  void filesAreWhatFilesCanBe() {
    Optional<SharePath> root = Optional.of(new SharePath(""));
    isDamaged(() -> new KnownFile(2, 0, 0, Linux.S_IFREG, root));
    isDamaged(() -> new KnownFile(2, -1, 0, Linux.S_IFREG, root));
    isDamaged(() -> new KnownFile(2, 1, 0, 0, root));
    isDamaged(() -> new KnownFile(2, 1, 0, Linux.S_IFREG | 1, root));
    isDamaged(() -> new KnownFile(2, 1, 0, Linux.S_IFLNK, root));
    for (int share : new int[] {-1, 1, Integer.MAX_VALUE}) {
      isDamaged(() -> state(List.of(new KnownFile(2, 1, share, Linux.S_IFREG, root))));
    }
    isDamaged(
        () ->
            new FsState(
                List.of("a", "a"),
                new SlotTable.Ids(2, 0),
                List.of(),
                new SlotTable.Ids(2, 0),
                List.of()));
  }

  @Test
  void handlesAreOfFilesThatAreThere() {
    List<KnownFile> files = List.of(file(2));
    isDamaged(() -> state(files, new OpenHandle(2, Kind.FILE, 3, 0)));
    isDamaged(() -> state(files, new OpenHandle(2, Kind.FOLDER, 2, 0)));
    isDamaged(() -> state(files, new OpenHandle(2, Kind.LOST, 2, 0)));
    isDamaged(() -> state(files, new OpenHandle(2, Kind.SHARES, 2, 0)));
    for (int flags : new int[] {Linux.O_ACCMODE, Linux.O_TRUNC, Linux.O_CREAT, Linux.O_PATH}) {
      isDamaged(() -> new OpenHandle(2, Kind.FILE, 2, flags));
    }
    isDamaged(() -> new OpenHandle(2, Kind.FOLDER, 2, Linux.O_RDWR));
  }

  @Test
  void missingShareIsNamed() {
    FsState state =
        new FsState(
            List.of("data", "other"),
            new SlotTable.Ids(2, 0),
            List.of(),
            new SlotTable.Ids(2, 0),
            List.of());
    assertEquals(ErrorCode.FAILED_PRECONDITION, refusal(state));
  }

  @Test
  void boundHoldsForWhatIsRestored() {
    List<KnownFile> files = new ArrayList<>();
    for (int place = 2; place < 2 + BOUND; place++) {
      files.add(file(place));
    }
    SlotTable.Ids ids = new SlotTable.Ids(2 + BOUND, 0);
    OpenHandle handle = new OpenHandle(2, Kind.FILE, 2, Linux.O_RDWR);
    FsState state = new FsState(List.of("data"), ids, files, ids, List.of(handle));
    assertEquals(ErrorCode.RESOURCE_EXHAUSTED, refusal(state));
    SlotTable.Ids many = new SlotTable.Ids(Integer.MAX_VALUE, 0);
    assertEquals(
        ErrorCode.RESOURCE_EXHAUSTED,
        refusal(new FsState(List.of("data"), many, List.of(), ids, List.of())));
    assertEquals(
        ErrorCode.RESOURCE_EXHAUSTED,
        refusal(new FsState(List.of("data"), ids, List.of(), many, List.of())));
  }

  @Test
  void noViewOfTheHostsKernelIsOpened() {
    try (SharedFileSystem fs = new SharedFileSystem("test", budget)) {
      fs.add(new Share("data", Fd.openPath("/"), false, CachePolicy.AUTO));
      SharePath path = new SharePath("proc/version");
      fs.restore(state(List.of(new KnownFile(2, 1, 0, Linux.S_IFREG, Optional.of(path)))));
      assertEquals(-Linux.ESTALE, fs.getAttributes(2, new Attributes()));
    }
  }

  @Test
  void anyByteMayBeWrong() {
    SharePath folder = new SharePath("folder");
    FsState state =
        state(
            List.of(file(2), new KnownFile(3, 2, 0, Linux.S_IFDIR, Optional.of(folder))),
            new OpenHandle(2, Kind.FILE, 2, Linux.O_RDWR),
            new OpenHandle(3, Kind.FOLDER, 3, 0),
            OpenHandle.of(4, Kind.SHARES));
    SnapshotWriter out = new SnapshotWriter();
    FsState.write(state, out);
    byte[] bytes = new byte[out.written().remaining()];
    out.written().get(bytes);
    Random random = new Random(1);
    int refused = 0;
    for (int i = 0; i < 3000; i++) {
      byte[] changed = bytes.clone();
      changed[random.nextInt(bytes.length)] = (byte) random.nextInt();
      int length = i % 3 == 0 ? random.nextInt(bytes.length) : bytes.length;
      try (SharedFileSystem fs = new SharedFileSystem("test", budget)) {
        fs.add(new Share("data", Fd.openPath(host.toString()), false, CachePolicy.AUTO));
        fs.restore(FsState.read(new SnapshotReader(ByteBuffer.wrap(changed, 0, length))));
      } catch (RundException e) {
        refused++;
      }
    }
    assertTrue(refused > 1000, "" + refused);
  }
}
