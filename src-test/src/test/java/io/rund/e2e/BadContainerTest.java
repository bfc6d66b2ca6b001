package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** A container that cannot be is refused with the reason, as ctr shows it. */
@E2e
class BadContainerTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  @Test
  void aProgramThatDoesNotExistOrIsNone() {
    Lab.script(
            TIMEOUT,
            """
            attempt missing sandbox $image "$1-a" /no/such/program
            attempt plain sandbox $image "$1-b" /etc/passwd
            """,
            Lab.id("program"))
        .expect("missing_status", "1")
        .expectWords("missing", "/no/such/program", "not found")
        .expect("plain_status", "1")
        .expectWords("plain", "/etc/passwd", "permission denied");
  }

  @Test
  void aRootFileSystemOfGarbage() {
    Lab.script(
            TIMEOUT,
            """
            ctr container create --snapshotter devmapper --runtime $runtime $image "$1" true || exit
            device=$(ctr snapshots --snapshotter devmapper mounts /x "$1" | grep -o '/dev/mapper/[^ ]*')
            "$PROBE" emit $((4 << 20)) | dd of=$device bs=64k conv=fsync iflag=fullblock 2>/dev/null
            attempt refused ctr task start --null-io "$1"
            ctr container rm "$1"
            """,
            Lab.id("garbage"))
        .expect("refused_status", "1")
        .expectWords("refused", "root", "mount", "ext4");
  }

  @Test
  void aMemoryLimitBelowWhatAGuestNeeds() {
    Lab.script(
            TIMEOUT,
            "attempt refused sandbox --memory-limit 1048576 $image \"$1\" true",
            Lab.id("memory"))
        .expect("refused_status", "1")
        .expectWords("refused", "memory limit", "1048576", "min_memory", "raise");
  }

  @Test
  void oneMebibyteOfArgumentsArrives() {
    Result result =
        Lab.script(
            TIMEOUT,
            """
            long=$(head -c 65536 /dev/zero | tr '\\0' x)
            arguments=(); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do arguments+=("$i$long"); done
            say wanted "$("$PROBE" args "${arguments[@]}")"
            say got "$(sandbox $image "$1" probe args "${arguments[@]}")"
            """,
            Lab.id("arguments"));
    assertEquals(result.value("wanted"), result.value("got"), "digests of the arguments");
  }

  @Test
  void whatOnlyTheHostHas() {
    Lab.script(
            TIMEOUT,
            """
            attempt network sandbox --net-host $image "$1-a" true
            attempt device sandbox --device /dev/loop-control $image "$1-c" true
            attempt namespace sandbox --with-ns pid:/proc/1/ns/pid $image "$1-d" true
            """,
            Lab.id("host"))
        .expect("network_status", "1")
        .expectWords("network", "host networking")
        .expect("device_status", "1")
        .expectWords("device", "/dev/loop-control", "10:237")
        .expect("namespace_status", "1")
        .expectWords("namespace", "pid namespace");
  }
}
