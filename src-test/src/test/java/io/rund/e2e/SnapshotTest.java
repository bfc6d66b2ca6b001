package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** rund snapshot, restore, clone, exec and remove. */
@E2e
class SnapshotTest {
  static final Duration TIMEOUT = Duration.ofMinutes(8);

  /**
   * counts IMAGE ID: runs a program that counts in a file, and writes what it is told by a FIFO
   * into a file that is open since its start. inside ID COMMAND...: what a program in it says.
   */
  static final String FUNCTIONS =
      """
      counts() {
        launch "$@" sh -c '
          mkdir /own; echo kept >/own/old; ln /own/old /own/other; exec 3>>/own/open; mkfifo /own/ask
          (while read -r word; do echo "$word" >&3; done <>/own/ask) &
          i=0; while :; do i=$((i + 1)); echo $i >/own/count; sleep 0.2; done'
      }
      inside() { rund exec -n e2e "$@"; }
      # Run in it, says whether the program counts on from where it was.
      goes_on='first=$(cat /own/count); i=0
        until [ "0$(cat /own/count)" -gt "$((${first:-0} + 3))" ] || [ $i = 300 ]; do i=$((i + 1)); sleep 0.2; done
        [ $i -lt 300 ]; echo goes_on=$?'
      """;

  @Test
  void aSnapshotGoesOnWhereItWasWrittenAndTheOriginalGoesOnToo() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                counts $image "$1" || exit
                begun() { ctr task exec --exec-id begun "$1" cat /own/count; }
                until_true 60 begun "$1"
                ctr task exec --exec-id rm "$1" rm /etc/group
                rund snapshot -n e2e "$1" "$work/saved" >&2; say snapshot $?
                rund restore -n e2e "$work/saved" --id "$1-one" >&2; say restore $?
                say before "$(date +%s%3N)"
                inside "$1-one" sh -c 'echo clock=$(probe clock); echo random=$(head -c 16 /dev/urandom | od -An -tx1)
                  '"$goes_on"'
                  echo asked >/own/ask; until grep -q asked /own/open; do sleep 0.1; done; rm /own/old
                  echo open=$(cat /own/open); echo linked=$(cat /own/other); ls /etc/group; echo gone=$?; exit 7'
                say exit $?
                say after "$(date +%s%3N)"
                ctr task exec --exec-id other "$1" sh -c 'echo original=$(cat /own/open /own/old)
                  echo random=$(head -c 16 /dev/urandom | od -An -tx1)
                  '"$goes_on"
                discard "$1"
                rund restore -n e2e "$work/saved" --id "$1-two" >&2; say restore $?
                rund kill -n e2e "$1-one" KILL >&2
                stopped() { rund state -n e2e "$1" | grep -q '^status *stopped'; }
                until_true 60 stopped "$1-one"; say stopped $?
                rund remove -n e2e "$1-one" >&2; say removed $?
                inside "$1-two" sh -c 'echo elsewhere=$(cat /own/open /own/old)
                  '"$goes_on"
                rund remove -n e2e "$1-two" >&2; say removed $?
                say left "$(ls -A /var/lib/rund/sandboxes | wc -l)"
                """,
            Lab.id("snapshot"));
    result.expect("snapshot", "0").expect("stopped", "0").expect("left", "0");
    assertEquals(List.of("0", "0"), result.values("restore"), result::toString);
    assertEquals(List.of("0", "0", "0"), result.values("goes_on"), result::toString);
    long clock = result.number("clock");
    assertTrue(clock > result.number("before") - 50, result::toString);
    assertTrue(clock < result.number("after") + 50, result::toString);
    result.expect("open", "asked").expect("linked", "kept").expect("gone", "1");
    result.expect("elsewhere", "kept").expect("original", "kept").expect("exit", "7");
    assertEquals(2, result.values("random").stream().distinct().count(), result::toString);
    assertEquals(List.of("0", "0"), result.values("removed"), result::toString);
  }

  @Test
  void aCloneGetsTheNetworkOfAnotherNamespaceAndItsOwnOutput() {
    Result result =
        Lab.script(
            TIMEOUT,
            "%s. %s\n".formatted(FUNCTIONS, Lab.MODULE.resolve("src/test/sh/network.sh"))
                + """
                plan=$(address_plan 10.98.0.0/24)
                for pod in e2e-a e2e-b; do
                  ip netns add $pod
                  cni ADD $pod "$(bridge_plugin "$plan")" >$work/$pod || exit
                done
                address() { sed -n 's|.*"address": *"\\(10[^/]*\\)/.*|\\1|p' "$work/$1"; }
                hears() { [ "$(busybox wget -q -O - "http://$(address "$1")/")" = here ]; }
                ctr run -d --log-uri "file://$work/original" --snapshotter "$snapshotter" --runtime "$runtime" \\
                  --with-ns network:/run/netns/e2e-a $image "$1" sh -c '
                  mkdir /www; echo here >/www/index.html; httpd -f -h /www & while :; do echo "$1"; sleep 0.5; done' sh said || exit
                until_true 60 hears e2e-a; say original $?
                rund clone -n e2e "$1" --id "$1-b" --netns /run/netns/e2e-b --output "$work/output" >&2; say clone $?
                until_true 60 hears e2e-b; say cloned $?
                until_true 60 hears e2e-a; say still $?
                until_true 60 grep -q said "$work/output"; say output $?
                again=$(rund clone -n e2e "$1-b"); say again $?
                say interfaces "$(inside "$again" sh -c 'touch /www/mine; ls /sys/class/net')"
                say others "$(ctr task exec --exec-id ls "$1" ls /www)"
                attempt foreign rund remove -n e2e "$1"
                attempt shared rund clone -n e2e "$1" --netns /run/netns/e2e-b
                attempt taken launch $image "$1-b" probe sleep
                discard "$1-b"
                until_true 60 hears e2e-b; say survives $?
                for id in "$1-b" "$again"; do rund remove -n e2e "$id" >&2; say removed $?; done
                task_is "$1" RUNNING; say runs $?
                discard "$1"
                for pod in e2e-a e2e-b; do cni DEL $pod "$(bridge_plugin "$plan")" >&2; done
                """,
            Lab.id("cloned"));
    result.expect("original", "0").expect("clone", "0").expect("cloned", "0").expect("still", "0");
    result.expect("output", "0").expect("again", "0").expect("interfaces", "lo");
    result.expect("others", "index.html").expect("runs", "0");
    result.expect("foreign_status", "1").expectWords("foreign", "is containerd's");
    result.expect("shared_status", "1").expectWords("shared", "that of another sandbox");
    result.expect("taken_status", "1").expectWords("taken", "exists already");
    result.expect("survives", "0");
    assertEquals(List.of("0", "0"), result.values("removed"), result::toString);
  }
}
