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
        result.number("total") << 10,
        256 * MIB - result.number("kernel_reserved"),
        result::toString);
    long keeps = result.number("kernel_reserved") + result.number("kernel_and_agent");
    assertEquals(256 * MIB, keeps + result.number("left"), result::toString);
    assertTrue(keeps < 32 * MIB, result::toString);
    assertTrue(result.number("guest_ram") > 8 * MIB, result::toString);
    assertTrue(result.number("guest_ram") <= 256 * MIB, result::toString);
    assertTrue(result.number("anchors") > 0, result::toString);
    assertTrue(result.number("beyond_guest_ram") > result.number("engine_share"), result::toString);
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
    assertTrue(2048 * MIB - result.number("left") < (32 + 40) * MIB, result::toString);
  }

  @Test
  void whatIsMadeBeforehandIsShownWithItsBound() {
    Result result =
        Lab.script(
            Duration.ofMinutes(6),
            """
            ready() { rund overhead | awk '$2 == "'"$1"'" { print $3 " of " $4 }'; }
            refilled() { [ "$(ready vm)" = "2 of 2" ]; }
            id=$1
            launch $image "$id" probe sleep || exit 1
            until_true 60 refilled
            say vms "$(ready vm)"
            say cgroups "$(ready cgroup)"
            say templates "$(ready template)"
            discard "$id"
            """,
            Lab.id("pools"));
    result.expect("vms", "2 of 2").expect("cgroups", "7 of 8");
    assertTrue(result.value("templates").matches("[0-4] of 4"), result::toString);
  }
}
