package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
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
            sed 's/^/runc:/' $work/runc
            sed 's/^/rund:/' $work/rund
            """
                .formatted(which.flags, which.command),
            Lab.id("view"));
    Map<String, String> runc = view(result, "runc:");
    Map<String, String> rund = view(result, "rund:");
    assertTrue(runc.size() > 80, () -> "the probe saw next to nothing under runc: " + result);
    assertTrue(rund.size() > 80, () -> "the probe saw next to nothing under rund: " + result);
    List<String> unexpected = new ArrayList<>();
    TreeSet<String> keys = new TreeSet<>(runc.keySet());
    keys.addAll(rund.keySet());
    for (String key : keys) {
      String there = runc.getOrDefault(key, "(absent)");
      String here = rund.getOrDefault(key, "(absent)");
      if (!there.equals(here) && !AllowedDifference.covers(key, there, here)) {
        unexpected.add("%s: runc %s, rund %s".formatted(key, there, here));
      }
    }
    assertTrue(
        unexpected.isEmpty(),
        () -> "differences that a VM does not explain:\n  " + String.join("\n  ", unexpected));
  }

  private static Map<String, String> view(Result result, String prefix) {
    Map<String, String> view = new TreeMap<>();
    for (String line : result.out().lines().filter(l -> l.startsWith(prefix)).toList()) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        view.put(line.substring(prefix.length(), equals), line.substring(equals + 1));
      }
    }
    return view;
  }
}
