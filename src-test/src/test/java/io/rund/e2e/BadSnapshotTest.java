package io.rund.e2e;

import static io.rund.e2e.SnapshotTest.FUNCTIONS;
import static io.rund.e2e.SnapshotTest.TIMEOUT;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Snapshots that are damaged, or were never whole. */
@Soak
class BadSnapshotTest {
  @Test
  void whatIsNotWholeOrHasMoreThanASnapshotHoldsIsRefused() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                counts $image "$1" || exit
                rund snapshot -n e2e "$1" "$work/saved" >&2; say snapshot $?
                attempt again rund snapshot -n e2e "$1" "$work/saved"
                changed() {
                  rm -rf "$work/changed"; cp -a "$work/saved" "$work/changed"; (cd "$work/changed" && eval "$2")
                  attempt "$1" rund restore -n e2e "$work/changed" --id damaged
                }
                changed short 'truncate -s -4096 machine.snapshot'
                changed memory 'printf x | dd of=machine.snapshot bs=1 seek=$(($(stat -c %s machine.snapshot) - 99)) conv=notrunc'
                changed description 'sed -i s/memory/nemory/ sandbox.json'
                changed lower 'sed -i "s|lowerdir=[a-zA-Z0-9/.:_-]*|lowerdir=/nowhere|" sandbox.json
                  sha256sum sandbox.json config.json >SHA256SUMS'
                say alive "$(inside "$1" echo yes)"
                say left "$(ls -A /var/lib/rund/sandboxes | wc -l)"
                discard "$1"
                launch $image "$1-ends" true
                until_true 60 task_is "$1-ends" STOPPED
                attempt ended rund snapshot -n e2e "$1-ends" "$work/ended"
                discard "$1-ends"
                say files "$(ls -d "$work"/ended* 2>/dev/null)"
                """,
            Lab.id("refused"));
    result.expect("snapshot", "0").expect("alive", "yes").expect("left", "0").expect("files", "");
    refused(result, "again", "is there already");
    refused(result, "short", "bytes and should have");
    refused(result, "memory", "has changed");
    refused(result, "description", "has been changed");
    refused(result, "lower", "cannot mount the root file system of damaged");
    refused(result, "ended", "its program does not run");
  }

  private static void refused(Result result, String name, String words) {
    result.expect(name + "_status", "1");
    assertTrue(result.value(name).contains(words), result::toString);
  }

  @Test
  void anEngineThatIsKilledWhileItWritesLeavesNoSnapshotAndTheNextGoesOn() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                counts $image "$1" || exit
                rund snapshot -n e2e "$1" "$work/whole" >&2; say whole $?
                rund clone -n e2e "$1" --id "$1-clone" >&2; say clone $?
                rund snapshot -n e2e "$1" "$work/half" >&2 &
                until [ -d "$work/half.partial" ]; do sleep 0.05; done
                kill -KILL $(engines); wait $!; say half $?
                say there "$(ls -d "$work/half" 2>/dev/null)"
                discard "$1"
                rund restore -n e2e "$work/whole" --id "$1-next" --address "$CONTAINERD_ADDRESS" >&2; say restore $?
                say events "$(tr '\\0' ' ' </proc/$(engines)/cmdline | grep -c -- "--containerd-ttrpc $CONTAINERD_ADDRESS.ttrpc ")"
                inside "$1-next" sh -c "$goes_on"
                swept() { [ "$(ls -A /var/lib/rund/sandboxes)" = "e2e:$1-next" ]; }
                until_true 30 swept "$1"; say swept $?
                attempt left rund snapshot -n e2e "$1-next" "$work/half"
                rund remove -n e2e "$1-next" >&2; say removed $?
                """,
            Lab.id("killed"));
    result.expect("whole", "0").expect("clone", "0").expect("half", "1").expect("there", "");
    result.expect("restore", "0").expect("goes_on", "0").expect("swept", "0");
    result.expect("events", "1");
    refused(result, "left", "half written");
    result.expect("removed", "0");
  }
}
