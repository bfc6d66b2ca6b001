package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A guest that opens every file it finds and closes none reaches a bound, and nobody else does. */
@E2e
class HoardingGuestTest {
  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  @Test
  void itIsToldThatThereAreTooManyAndItsNeighbourWorks() {
    Result result =
        Lab.script(
            Duration.ofMinutes(10),
            """
            mkdir $work/many
            "$2/fs-tool" populate $work/many "$3" 0 || exit
            neighbour() { overlaid $files_image "$1" sh -c 'echo works >/file && cat /file && ls /usr/bin | wc -l'; }
            overlaid --memory-limit 1073741824 --cap-add CAP_SYS_RESOURCE --mount type=bind,src=$work/many,dst=/many,options=rbind:ro \
              $files_image "$1" fs-tool hoard /many 40 >$work/hoard 2>&1 &
            until_true 300 grep -q held= $work/hoard
            say beside "$(neighbour "$1-beside" | tr '\\n' ' ')"
            wait $!
            say status $?
            cat $work/hoard
            say later "$(neighbour "$1-later" | tr '\\n' ' ')"
            """,
            Lab.id("hoard"),
            FilesImage.PROGRAMS.toString(),
            "70000");
    result.expect("status", "0").expect("told", "ENFILE").expect("usable", "yes");
    result.expect("after", "works").expectWords("beside", "works").expectWords("later", "works");
    assertTrue(result.number("held") > 1000, result::toString);
  }
}
