package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a sandbox costs. */
@E2e
@Tag("cgroup")
class OverheadTest {
  private static final long MIB = 1 << 20;

  private static long number(Result result, String key) {
    return Long.parseLong(result.value(key));
  }

  @Test
  void isShownByPart() {
    Result result =
        Lab.script(
            Duration.ofMinutes(6),
            """
            part() { sed -n 's/.*"'"$1"'" : "*\\([0-9]*\\).*/\\1/p' $work/overhead; }
            inside() { ctr task exec --exec-id "x$RANDOM" "$id" "$@"; }
            id=$1
            launch $image "$id" probe sleep || exit 1
            rund overhead "$id" --json >$work/overhead
            for what in guest_ram anchors engine_share beyond_guest_ram kernel_reserved kernel_and_agent left; do
              say $what "$(part $what)"
            done
            say total "$(inside awk '/MemTotal/ { print $2 }' /proc/meminfo)"
            say memory "$(grep -o '"[0-9]*Mi"' $work/overhead)"
            say cpu "$(grep -o '"[0-9]*m"' $work/overhead)"
            discard "$id"
            """,
            Lab.id("overhead"));
    assertEquals(
        number(result, "total") << 10,
        256 * MIB - number(result, "kernel_reserved"),
        result::toString);
    long keeps = number(result, "kernel_reserved") + number(result, "kernel_and_agent");
    assertEquals(256 * MIB, keeps + number(result, "left"), result::toString);
    assertTrue(keeps < 32 * MIB, result::toString);
    assertTrue(number(result, "guest_ram") > 8 * MIB, result::toString);
    assertTrue(number(result, "guest_ram") <= 256 * MIB, result::toString);
    assertTrue(number(result, "anchors") > 0, result::toString);
    assertTrue(
        number(result, "beyond_guest_ram") > number(result, "engine_share"), result::toString);
    assertTrue(result.value("memory").matches("\"\\d+Mi\""), result::toString);
    assertTrue(result.value("cpu").matches("\"\\d+m\""), result::toString);
  }

  /** Of a large guest the kernel would keep a twentieth free, so that it has huge pages to give. */
  @Test
  void aLargeSandboxKeepsNoTwentiethOfItsMemory() {
    Result result =
        Lab.script(
            Duration.ofMinutes(6),
            """
            id=$1
            launch --memory-limit $((1984 << 20)) $image "$id" probe sleep || exit 1
            rund overhead "$id" --json >$work/overhead
            say left "$(sed -n 's/.*"left" : "*\\([0-9]*\\).*/\\1/p' $work/overhead)"
            discard "$id"
            """,
            Lab.id("large"));
    // Of 2 GiB: a 64th for the kernel's page structures, and as much as in a small one.
    assertTrue(2048 * MIB - number(result, "left") < (32 + 40) * MIB, result::toString);
  }
}
