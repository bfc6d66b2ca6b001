package io.rund.e2e;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Root file systems that are directories of the host. */
@E2e
class RootFileSystemTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  @Test
  void aContainerWritesIntoItsOwnLayerOnly() {
    Lab.script(
            TIMEOUT,
            """
            launch $image "$1-a" probe sleep
            ctr task exec --exec-id w "$1-a" sh -c 'echo mine >/etc/mine; rm /etc/group'
            say again "$(ctr task exec --exec-id r "$1-a" sh -c 'cat /etc/mine; ls /etc/group 2>&1' | tr '\\n' ' ')"
            say other "$(sandbox $image "$1-b" sh -c 'ls /etc/mine /etc/group 2>&1' | tr '\\n' ' ')"
            discard "$1-a"
            """,
            Lab.id("layer"))
        .expectWords("again", "mine", "/etc/group: No such file")
        .expectWords("other", "/etc/mine: No such file", "/etc/group");
  }

  @Test
  void aDirectoryMadeByHand() {
    Lab.script(
            TIMEOUT,
            """
            mkdir -p $work/root/bin; cp $PROBE $work/root/bin/probe; echo before >$work/root/file
            say args "$(ctr run --rm --rootfs --runtime $runtime $work/root "$1" /bin/probe args a b)"
            say folders "$(echo $(ls $work/root))"
            """,
            Lab.id("rootfs"))
        .expectWords("args", "2 2 ")
        .expectWords("folders", "proc", "file");
  }

  @Test
  void aReadOnlyRootIsTheHostsWord() {
    Lab.script(
            TIMEOUT,
            """
            say answer "$(sandbox --read-only --cap-add CAP_SYS_ADMIN $image "$1" sh -c '
              exec 2>&1; (echo x >/file); mount -o remount,rw,bind /; echo x >/other' | tr '\\n' ' ')"
            """,
            Lab.id("root"))
        .expectWords("answer", "/file: Read-only file system", "/other: Read-only file system");
  }
}
