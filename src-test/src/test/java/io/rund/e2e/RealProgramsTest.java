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
@Soak
class RealProgramsTest {
  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  // Little of each, since a request to the host takes milliseconds in the lab; SoakTest does more.

  @Test
  void dpkgUnpacksPackages() {
    dpkg(4);
  }

  @Test
  void gitCommitsClonesAndCollectsGarbage() {
    git(20);
  }

  @Test
  void whatSqliteCommittedOutlivesAKill() {
    sqlite(5);
  }

  @Test
  void redisReadsItsAppendOnlyFileAgain() {
    redis(200);
  }

  @Test
  void tarPacksAndUnpacksManySmallFiles() {
    tar(100);
  }

  static void dpkg(int packages) {
    same("dpkg", packages).expect("packages", Integer.toString(packages)).expect("audit", "");
  }

  static void git(int files) {
    Result result = same("git", files).expect("clean", "0");
    assertEquals(List.of("", "", ""), result.values("fsck"), result::toString);
    assertEquals(1, result.values("objects").stream().distinct().count(), result::toString);
  }

  static void sqlite(int transactions) {
    Result result = same("sqlite", transactions);
    for (String mode : List.of("delete", "wal")) {
      result
          .expect(mode + "-integrity", "ok")
          .expect(mode + "-lost", "0")
          .expect(mode + "-halves", "0")
          .expect(mode + "-gaps", "0");
    }
  }

  static void redis(int keys) {
    List<String> digests = same("redis", keys).values("digest");
    assertEquals(4, digests.size(), digests::toString);
    assertEquals(digests.get(0), digests.get(1));
    assertEquals(digests.get(2), digests.get(3));
  }

  static void tar(int files) {
    Result result = same("tar", files);
    assertEquals(result.value("made"), result.value("unpacked"), result::toString);
  }

  /** What the program says under rund, which is what it says under runc. */
  private static Result same(String program, int count) {
    String id = Lab.id("programs-" + program);
    Result runc = run("io.containerd.runc.v2", id, program, count);
    Result rund = run("io.containerd.rund.v2", id, program, count);
    assertTrue(!runc.out().isEmpty(), runc::toString);
    assertEquals(runc.out(), rund.out(), () -> "under runc: " + runc + "\nunder rund: " + rund);
    return rund;
  }

  private static Result run(String runtime, String id, String program, int count) {
    return Lab.script(
            Duration.ofMinutes(10).plusMillis(500L * count),
            """
            runtime=$1
            overlaid $files_image "$2" programs "$3" /work "$4"
            """,
            runtime,
            id,
            program,
            Integer.toString(count))
        .expectExit(0);
  }
}
