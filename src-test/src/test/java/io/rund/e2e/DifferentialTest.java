package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * One specification, two runtimes: what the probe sees under rund is what it sees under runc, but
 * for {@link AllowedDifference}.
 */
@E2e
@Tag("disks")
class DifferentialTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  /** Under which flags, and by which shell command that has $flags and $1, the probe is run. */
  record Case(String name, String flags, String command) {
    static final String RUN = "sandbox $flags $image \"$1\" probe view a 'b c'";

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("no flags", "", Case.RUN),
        new Case(
            "read-only root, folder and environment",
            "--read-only --cwd /tmp --env COLOR=blue --env EMPTY=",
            Case.RUN),
        new Case(
            "capabilities, seccomp, new privileges",
            "--cap-add CAP_SYS_ADMIN --cap-drop CAP_NET_RAW --seccomp --allow-new-privs",
            Case.RUN),
        new Case(
            "limits",
            "--memory-limit 104857600 --cpus 1 --cpu-shares 512 --mount"
                + " type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro",
            Case.RUN),
        new Case(
            "more mounts",
            "--mount type=tmpfs,src=tmpfs,dst=/scratch,options=nosuid:noexec:mode=0700:size=1m",
            Case.RUN),
        new Case(
            "terminal",
            "-t",
            "script -q -f -e -c \"ctr run --rm -t --snapshotter $snapshotter --runtime $runtime $image"
                + " $1 probe view\" /dev/null </dev/null"),
        new Case(
            "exec as another user",
            "",
            "launch $image \"$1\" probe sleep; ctr task exec --exec-id x --user 65534:65534 --cwd"
                + " /tmp \"$1\" probe view; discard \"$1\""));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void theViewIsTheSameAsUnderRunc(Case which) {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            flags='%s'
            look() { %s; }
            runtime=io.containerd.runc.v2
            look "$1" | plain >$work/runc; say runc_status ${PIPESTATUS[0]}
            runtime=io.containerd.rund.v2
            look "$1" | plain >$work/rund; say rund_status ${PIPESTATUS[0]}
            sed 's/^/runc=/' $work/runc
            sed 's/^/rund=/' $work/rund
            """
                .formatted(which.flags, which.command),
            Lab.id("view"));
    View runc = View.of(result.values("runc"));
    View rund = View.of(result.values("rund"));
    runc.assertSeen(result);
    rund.assertSeen(result);
    List<String> unexpected = runc.unexpectedIn(rund);
    assertTrue(
        unexpected.isEmpty(),
        () -> "differences that a VM does not explain:\n  " + String.join("\n  ", unexpected));
  }
}
