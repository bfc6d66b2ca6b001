package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Random operations on files of several processes at once, each compared with a model in memory. A
 * failure shows the seed and the last operations.
 */
@E2e
class RandomFileOperationsTest {
  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  @Test
  void filesAreWhatTheirModelsAre() {
    Result result = run(20, 2, 1);
    assertEquals(0, result.exit(), result::toString);
  }

  /**
   * Both in the root file system and in a bound folder: {@code processes} on a file each and {@code
   * pairs} of processes that share one under its lock.
   */
  static Result run(long seconds, int processes, int pairs) {
    return Lab.script(
        Duration.ofMinutes(6).plusSeconds(5 * seconds),
        """
        disk_folder $work/ext4 512M || exit
        overlaid --mount type=bind,src=$work/ext4,dst=/bound,options=rbind:rw $files_image "$1" \
          sh -c "mkdir /here; fsx -p $3 -P $4 -s $2 /here & fsx -p $3 -P $4 -s $2 /bound; status=\\$?; wait \\$! && exit \\$status"
        """,
        Lab.id("fsx"),
        Long.toString(seconds),
        Integer.toString(processes),
        Integer.toString(pairs));
  }
}
