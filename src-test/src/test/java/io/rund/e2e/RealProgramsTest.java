package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * What real programs leave on a file system is what they leave there under runc: trees with modes,
 * owners, times, links, extended attributes and contents ({@code images/files/programs}).
 */
@E2e
class RealProgramsTest {
  /** How many files `make soak` has tar pack takes an hour here. */
  private static final int FEW = 2000;

  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  @Test
  void dpkgUnpacksFiftyPackages() {
    same("dpkg", "", "").expect("packages", "50").expect("audit", "");
  }

  @Test
  void gitCommitsClonesAndCollectsGarbage() {
    Result result = same("git", "/repositories", "").expect("clean", "0");
    assertEquals(List.of("", "", ""), result.values("fsck"), result::toString);
    assertEquals(1, result.values("objects").stream().distinct().count(), result::toString);
  }

  @Test
  void whatSqliteCommittedOutlivesAKill() {
    Result result = same("sqlite", "/databases", "");
    for (String mode : List.of("delete", "wal")) {
      result
          .expect(mode + "-integrity", "ok")
          .expect(mode + "-lost", "0")
          .expect(mode + "-halves", "0")
          .expect(mode + "-gaps", "0");
    }
  }

  @Test
  void redisReadsItsAppendOnlyFileAgain() {
    Result result = same("redis", "/data", "");
    List<String> digests = result.values("digest");
    assertEquals(4, digests.size(), result::toString);
    assertEquals(digests.get(0), digests.get(1), result::toString);
    assertEquals(digests.get(2), digests.get(3), result::toString);
  }

  @Test
  void tarPacksAndUnpacksManySmallFiles() {
    tar(Duration.ofMinutes(8), FEW);
  }

  static void tar(Duration timeout, int count) {
    Result result = same(timeout, "tar", "/files", Integer.toString(count));
    assertEquals(result.value("made"), result.value("unpacked"), result::toString);
  }

  private static Result same(String program, String folder, String argument) {
    return same(Duration.ofMinutes(8), program, folder, argument);
  }

  /** What the program says under rund, which is what it says under runc. */
  private static Result same(Duration timeout, String program, String folder, String argument) {
    String id = Lab.id("programs-" + program);
    Result runc = run(timeout, "io.containerd.runc.v2", id, program, folder, argument);
    Result rund = run(timeout, "io.containerd.rund.v2", id, program, folder, argument);
    assertTrue(!runc.out().isEmpty(), runc::toString);
    assertEquals(runc.out(), rund.out(), () -> "under runc: " + runc + "\nunder rund: " + rund);
    return rund;
  }

  private static Result run(
      Duration timeout, String runtime, String id, String... programAndArguments) {
    return Lab.script(
            timeout,
            """
            runtime=$1
            overlaid $files_image "$2" programs "$3" $4 $5
            """,
            runtime,
            id,
            programAndArguments[0],
            programAndArguments[1],
            programAndArguments[2])
        .expectExit(0);
  }
}
