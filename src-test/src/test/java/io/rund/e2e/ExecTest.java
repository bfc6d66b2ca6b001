package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Further processes in a running container. */
@E2e
@Tag("containerd")
class ExecTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  @Test
  void eightAtOnce() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            launch $image "$1" probe sleep || exit
            bytes=1000003
            for i in 1 2 3 4 5 6 7 8; do
              { "$PROBE" emit $bytes $i | ctr task exec --exec-id e$i "$1" sh -c "probe hash; exit $i" >$work/$i
                echo "status=${PIPESTATUS[1]}" >>$work/$i; } &
            done
            wait
            for i in 1 2 3 4 5 6 7 8; do
              say "wanted$i" "$("$PROBE" emit $bytes $i | "$PROBE" hash)"
              say "got$i" "$(head -n 1 $work/$i)"
              say "status$i" "$(sed -n 's/^status=//p' $work/$i)"
            done
            discard "$1"
            """,
            Lab.id("exec"));
    for (int i = 1; i <= 8; i++) {
      assertEquals(result.value("wanted" + i), result.value("got" + i), result::toString);
      result.expect("status" + i, Integer.toString(i));
    }
  }

  @Test
  void anExecHasItsOwnUserFolderAndEnvironment() {
    Lab.script(
            TIMEOUT,
            """
            launch --env COLOR=blue $image "$1" probe sleep || exit
            say user "$(ctr task exec --exec-id u --user 65534 "$1" id -u)"
            say cwd "$(ctr task exec --exec-id c --cwd /tmp "$1" pwd)"
            say env "$(ctr task exec --exec-id e "$1" sh -c 'echo $COLOR')"
            say init "$(ctr task exec --exec-id i "$1" sh -c 'tr "\\0" " " </proc/1/cmdline')"
            discard "$1"
            """,
            Lab.id("exec"))
        .expect("user", "65534")
        .expect("cwd", "/tmp")
        .expect("env", "blue")
        .expect("init", "probe sleep");
  }

  @Test
  void aProgramThatIsMissingIsNamedAndTheContainerLivesOn() {
    Lab.script(
            TIMEOUT,
            """
            launch $image "$1" probe sleep || exit
            ctr task exec --exec-id m "$1" /no/such/program 2>$work/err; say failed $(($? != 0))
            say message "$(tr '\\n' ' ' <$work/err)"
            say after "$(ctr task exec --exec-id a "$1" echo alive)"
            discard "$1"
            """,
            Lab.id("exec"))
        .expect("failed", "1")
        .expectWords("message", "/no/such/program", "not found")
        .expect("after", "alive");
  }
}
