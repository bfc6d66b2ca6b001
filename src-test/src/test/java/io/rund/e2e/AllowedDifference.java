package io.rund.e2e;

import java.util.List;
import java.util.regex.Pattern;

/**
 * What a program may see differently under rund than under runc, and why: the whole list. A
 * difference that is not here fails {@link DifferentialTest} and {@link CriDifferentialTest}.
 *
 * @param key which lines of the probe
 * @param runc what the value may be under runc
 * @param rund what the value may be under rund
 */
record AllowedDifference(Pattern key, Pattern runc, Pattern rund, String because) {
  private static final String ANY = ".*";

  private static final List<AllowedDifference> ALL =
      List.of(
          new AllowedDifference(
              "uname\\.release", ANY, "6\\..*", "a sandbox runs a kernel of its own"),
          new AllowedDifference(
              "mount\\./(proc|sys)/.*",
              ANY,
              ANY,
              "how a path is masked or made read-only is the executor's choice (runc, crun), and"
                  + " which are there is the kernel's; what can be read and written there is"
                  + " compared as read. and write."),
          new AllowedDifference(
              "mount\\./(etc/group|tmp|var)\\..*",
              ANY,
              ANY,
              "the same of paths that a container itself asks to have masked or read-only; what can"
                  + " be seen and done there is compared"),
          new AllowedDifference(
              "mount\\./(work|etc/hosts|etc/hostname|etc/resolv\\.conf)\\.type",
              ANY,
              "virtiofs",
              "what is bound from the host is shared with the sandbox"),
          new AllowedDifference(
              "mount\\./(work|etc/hosts|etc/hostname|etc/resolv\\.conf)\\.options",
              ANY,
              ANY,
              "the options of the host's file system stay on the host"),
          new AllowedDifference(
              "dev\\.null",
              "chr 1:3 0666 0:0",
              "chr 1:3 0666 1000:2000",
              "crun gives the standard streams to the container's user, and /dev/null is one of them"
                  + " where no input is asked for"),
          new AllowedDifference(
              "mount\\./\\.type",
              "overlay",
              "virtiofs",
              "a root file system of directories is the host's, shared with the sandbox"),
          new AllowedDifference(
              "mount\\./\\.options",
              ANY,
              ANY,
              "an overlay's directories are the host's; the stripe of an ext4 is read from the"
                  + " disk's geometry, which virtio-blk does not pass on"),
          new AllowedDifference(
              "mount\\..*\\.options",
              ".*inode64.*",
              ANY,
              "a kernel without CONFIG_TMPFS_INODE64 does not list the option inode64"),
          new AllowedDifference(
              "namespace\\.time(_for_children)?",
              "yes",
              "\\(absent\\)",
              "the guest's kernel has no time namespaces: its clock is the sandbox's already"),
          new AllowedDifference(
              "mount\\./sys\\.options",
              "ro",
              "rw",
              "sysfs is mounted once in a sandbox and bound into the container; read-only by the"
                  + " flags of that"),
          new AllowedDifference(
              "mount\\./dev/console\\.flags",
              "noexec,nosuid,relatime,rw",
              "relatime,rw",
              "the executor binds the terminal from another mount of devpts than runc does"),
          new AllowedDifference(
              "sysctl\\.net/ipv4/ip_forward",
              "1",
              "0",
              "a new network namespace begins with the host's value, which a CNI plugin may have"
                  + " set; a sandbox's is its own kernel's"),
          new AllowedDifference(
              "process\\.pid|status\\.NSpid",
              "[2-9]|\\d\\d+",
              "[2-9]|\\d\\d+",
              "the pid of an exec is the next free one, and runc uses up some on its way in"),
          new AllowedDifference(
              "process\\.session_leader",
              "yes",
              "no",
              "crun makes a session for an exec only where it has a terminal"),
          new AllowedDifference(
              "rlimit\\.(nproc|sigpending)",
              "\\d+:\\d+",
              "\\d+:\\d+",
              "the kernel derives these from the size of its memory"),
          new AllowedDifference(
              "rlimit\\.memlock",
              "\\d+:\\d+",
              "\\d+:\\d+",
              "not in the specification: inherited from containerd there, from the kernel here"),
          new AllowedDifference(
              "process\\.oom_score_adj",
              "1",
              "0",
              "not in the specification: runc's shim passes on its own score, which containerd"
                  + " raised by one"));

  private AllowedDifference(String key, String runc, String rund, String because) {
    this(Pattern.compile(key), Pattern.compile(runc), Pattern.compile(rund), because);
  }

  static boolean covers(String key, String runc, String rund) {
    return ALL.stream()
        .anyMatch(
            allowed ->
                allowed.key.matcher(key).matches()
                    && allowed.runc.matcher(runc).matches()
                    && allowed.rund.matcher(rund).matches());
  }
}
