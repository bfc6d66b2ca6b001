package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** rund snapshot, restore, clone, exec and remove. */
@E2e
class SnapshotTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(8);

  /**
   * counts ID: runs a program that counts in a file, and writes what it is told by a FIFO into a
   * file that is open since its start. inside ID COMMAND...: what a program in it says.
   */
  private static final String FUNCTIONS =
      """
      counts() {
        launch "$@" sh -c '
          mkdir /own; echo kept >/own/old; ln /own/old /own/other; exec 3>>/own/open; mkfifo /own/ask
          (while read -r word; do echo "$word" >&3; done <>/own/ask) &
          i=0; while :; do i=$((i + 1)); echo $i >/own/count; sleep 0.2; done'
      }
      inside() { rund exec -n e2e "$@"; }
      # goes_on ID: says whether the program in it counts, and where it was.
      goes_on() {
        inside "$1" sh -c 'first=$(cat /own/count); echo count=$first; i=0
          until [ "$(cat /own/count)" -gt "$((first + 3))" ] || [ $i = 300 ]; do i=$((i + 1)); sleep 0.2; done
          [ $i -lt 300 ]; echo goes_on=$?'
      }
      """;

  @Test
  void aSnapshotGoesOnWhereItWasWrittenAndTheOriginalGoesOnToo() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                counts $image "$1" || exit
                goes_on "$1"
                inside "$1" rm /etc/hostname
                rund snapshot -n e2e "$1" "$work/saved" >&2; say snapshot $?
                for id in one two; do
                  rund restore -n e2e "$work/saved" --id "$1-$id" >&2; say restore $?
                  say before "$(date +%s%3N)"
                  inside "$1-$id" sh -c 'echo clock=$(probe clock); echo random=$(head -c 16 /dev/urandom | od -An -tx1)'
                  say after "$(date +%s%3N)"
                done
                goes_on "$1-one"
                inside "$1-one" sh -c 'echo asked >/own/ask; until grep -q asked /own/open; do sleep 0.1; done; rm /own/old
                  echo open=$(cat /own/open); echo linked=$(cat /own/other); ls /etc/hostname; echo gone=$?'
                inside "$1-two" sh -c 'echo elsewhere=$(cat /own/open /own/old)'
                inside "$1" sh -c 'echo original=$(cat /own/open /own/old)
                  echo random=$(head -c 16 /dev/urandom | od -An -tx1)'
                inside "$1-one" sh -c 'exit 7'; say exit $?
                discard "$1"
                goes_on "$1-two"
                say status "$(rund state -n e2e "$1-one" | sed -n 's/^status *//p')"
                rund remove -n e2e "$1-one" >&2; say removed $?
                rund kill -n e2e "$1-two" KILL >&2
                stopped() { rund state -n e2e "$1" | grep -q '^status *stopped'; }
                until_true 60 stopped "$1-two"; say stopped $?
                rund remove -n e2e "$1-two" >&2; say removed $?
                say left "$(ls -A /var/lib/rund/sandboxes | wc -l)"
                """,
            Lab.id("snapshot"));
    result.expect("snapshot", "0").expect("status", "running");
    assertEquals(List.of("0", "0"), result.values("restore"), result::toString);
    assertEquals(List.of("0", "0", "0"), result.values("goes_on"), result::toString);
    List<Integer> counts = result.values("count").stream().map(Integer::valueOf).toList();
    assertTrue(counts.get(1) > counts.get(0), result::toString);
    for (int i = 0; i < 2; i++) {
      long clock = Long.parseLong(result.values("clock").get(i));
      assertTrue(clock > Long.parseLong(result.values("before").get(i)) - 50, result::toString);
      assertTrue(clock < Long.parseLong(result.values("after").get(i)) + 50, result::toString);
    }
    result.expect("open", "asked").expect("linked", "kept").expect("gone", "1");
    result.expect("elsewhere", "kept").expect("original", "kept").expect("exit", "7");
    assertEquals(3, result.values("random").stream().distinct().count(), result::toString);
    result.expect("stopped", "0").expect("left", "0");
    assertEquals(List.of("0", "0"), result.values("removed"), result::toString);
  }

  @Test
  void aCloneGoesOnBesideTheOriginal() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                counts $image "$1" || exit
                goes_on "$1"
                rund clone -n e2e "$1" --id "$1-clone" --output "$work/output" >&2; say clone $?
                say again "$(rund clone -n e2e "$1-clone")"
                goes_on "$1-clone"
                inside "$1-clone" sh -c 'echo told >/proc/1/fd/1; touch /own/mine'
                until_true 30 grep -q told "$work/output"; say output $?
                attempt foreign rund remove -n e2e "$1"
                say other "$(inside "$1" ls /own)"
                for id in $(rund list --json | grep -o "\"$1-clone[^\"]*\"" | tr -d '"'); do
                  rund remove -n e2e "$id" >&2; say removed $?
                done
                task_is "$1" RUNNING; say runs $?
                discard "$1"
                """,
            Lab.id("cloned"));
    result.expect("clone", "0").expect("output", "0").expect("runs", "0");
    assertEquals(List.of("0", "0"), result.values("goes_on"), result::toString);
    assertNotEquals("", result.value("again"), result::toString);
    assertFalse(result.value("other").contains("mine"), result::toString);
    refused(result, "foreign", "is containerd's");
    assertEquals(List.of("0", "0"), result.values("removed"), result::toString);
  }

  @Test
  void itGetsTheNetworkOfAnotherNamespace() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                # joined NAME N: a namespace with eth0 at 10.77.N.2, whose other end is on this side of it.
                joined() {
                  ip netns add "$1"
                  ip link add "$1" type veth peer name eth0 netns "$1"
                  ip addr add "10.77.$2.1/24" dev "$1"; ip link set "$1" up
                  ip -n "$1" addr add "10.77.$2.2/24" dev eth0; ip -n "$1" link set eth0 up
                  ip -n "$1" route add default via "10.77.$2.1"
                }
                joined net-a 1; joined net-b 2
                launch --with-ns network:/run/netns/net-a $image "$1" sh -c '
                  mkdir /www; echo here >/www/index.html; exec httpd -f -h /www' || exit
                hears() { [ "$(busybox wget -T 5 -q -O - "http://10.77.$1.2/")" = here ]; }
                until_true 60 hears 1; say original $?
                rund clone -n e2e "$1" --id "$1-b" --netns /run/netns/net-b >&2; say clone $?
                until_true 60 hears 2; say cloned $?
                say address "$(inside "$1-b" ip -4 addr show eth0 | grep -o '10[.0-9]*/24')"
                until_true 60 hears 1; say still $?
                rund clone -n e2e "$1-b" --id "$1-c" >&2; say alone $?
                say interfaces "$(inside "$1-c" ls /sys/class/net)"
                rund remove -n e2e "$1-c" >&2; rund remove -n e2e "$1-b" >&2; say removed $?
                discard "$1"
                ip netns del net-a; ip netns del net-b
                """,
            Lab.id("net"));
    result.expect("original", "0").expect("clone", "0").expect("cloned", "0");
    result.expect("address", "10.77.2.2/24").expect("still", "0").expect("alone", "0");
    result.expect("interfaces", "lo").expect("removed", "0");
  }

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
                changed lower 'sed -i "s|lowerdir=[^\"]*|lowerdir=/nowhere|" sandbox.json
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
    refused(result, "lower", "/nowhere");
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
                goes_on "$1-next"
                swept() { [ "$(ls -A /var/lib/rund/sandboxes)" = "e2e:$1-next" ]; }
                until_true 30 swept "$1"; say swept $?
                attempt left rund snapshot -n e2e "$1-next" "$work/half"
                rund remove -n e2e "$1-next" >&2; say removed $?
                """,
            Lab.id("killed"));
    result.expect("whole", "0").expect("clone", "0").expect("half", "1").expect("there", "");
    result.expect("restore", "0").expect("goes_on", "0").expect("swept", "0");
    refused(result, "left", "half written");
    result.expect("removed", "0");
  }
}
