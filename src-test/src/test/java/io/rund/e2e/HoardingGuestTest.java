package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A guest that opens every file it finds and closes none reaches a bound, and nobody else does. */
@Soak
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
            variant
            # An engine that may have few descriptors shows sooner what it does when there are no more.
            sed -i 's/exec /exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource prlimit --nofile=4096 /' "$runtime"
            mkdir $work/many
            "$2/fs-tool" populate $work/many 1600 0 || exit
            neighbour() { overlaid $files_image "$1" sh -c 'echo works >/file && cat /file /test/programs | head -n 1'; }
            overlaid --cap-add CAP_SYS_RESOURCE --mount type=bind,src=$work/many,dst=/many,options=rbind:ro \
              $files_image "$1" fs-tool hoard /many 60 >$work/hoard 2>&1 &
            until_true 300 grep -q held= $work/hoard
            say beside "$(neighbour "$1-beside")"
            wait $!
            say status $?
            cat $work/hoard
            say later "$(neighbour "$1-later")"
            variant_end
            """,
            Lab.id("hoard"),
            FilesImage.PROGRAMS.toString());
    result.expect("status", "0").expect("told", "ENFILE").expect("usable", "yes");
    result.expect("after", "works").expect("beside", "works").expect("later", "works");
    assertTrue(result.number("held") > 300, result::toString);
    result.expect("engine_left", "0");
  }
}
