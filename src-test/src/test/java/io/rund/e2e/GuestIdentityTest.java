package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** The kernel, the memory and the CPUs that a container sees are its sandbox's, not the host's. */
@E2e
class GuestIdentityTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(3);

  private static final String LOOK =
      """
      look='echo release=$(uname -r); echo cpus=$(nproc); echo boot=$(cat /proc/sys/kernel/random/boot_id)
        echo memory=$(awk "/MemTotal/ {print \\$2}" /proc/meminfo)'
      """;

  @Test
  void kernelAndMemoryAreTheSandboxs() {
    Result seen =
        Lab.script(
            TIMEOUT,
            LOOK
                + """
                sandbox $image "$1" sh -c "$look" || exit
                say host_release "$(uname -r)"
                say host_boot "$(cat /proc/sys/kernel/random/boot_id)"
                """,
            Lab.id("identity"));
    seen.expectExit(0);
    assertNotEquals(seen.value("host_release"), seen.value("release"), seen::toString);
    assertNotEquals(seen.value("host_boot"), seen.value("boot"), seen::toString);
    assertEquals(1, seen.number("cpus"), "default_vcpus is 1: " + seen);
    long mebibytes = seen.number("memory") / 1024;
    assertTrue(mebibytes > 128 && mebibytes <= 256, "default_memory is 256 MiB: " + seen);
  }

  @Test
  void limitsSizeTheSandbox() {
    Result seen =
        Lab.script(
            TIMEOUT,
            LOOK + "sandbox --cpus 2 --memory-limit $((100 << 20)) $image \"$1\" sh -c \"$look\"",
            Lab.id("size"));
    seen.expectExit(0);
    assertEquals(2, seen.number("cpus"), seen::toString);
    long mebibytes = seen.number("memory") / 1024;
    assertTrue(
        mebibytes > 64 && mebibytes <= 164, "limit 100 MiB and memory_overhead 64 MiB: " + seen);
  }
}
