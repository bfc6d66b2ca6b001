package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Templates outlive their engine, and half or damaged ones are never gone on from. */
@Soak
class TemplateFileTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(9);

  /** refused: how often the engine that runs has said that a file was not used. */
  private static final String FUNCTIONS =
      """
      templates=/var/lib/rund/templates
      # That of a sandbox of the default size; other tests leave others.
      own() { ls $templates/1-vcpus-256-MiB-*.snapshot; }
      kept() { own >/dev/null 2>&1; }
      refused() { cat /run/rund/*/engine.log | grep -c 'is not used, the sandbox boots cold'; }
      kill_engine() {
        local engine
        for engine in $(engines); do
          kill -KILL "$engine"
          while [ -d "/proc/$engine" ]; do sleep 0.1; done
        done
      }
      clone() {
        local status
        launch $image "$1" probe sleep || return 2
        clone_runs
        status=$?
        discard "$1"
        return $status
      }
      kept || until_true 240 clone "$1-template"; until_true 120 kept; say kept $?
      """;

  @Test
  void theFirstSandboxOfTheNextEngineIsACloneWithAClockAndRandomBytesOfItsOwn() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                say modes "$(stat -c '%a %U' $templates $templates/* | sort -u | tr '\\n' ' ')"
                # A machine of our own may be told that an hour has gone by.
                hour=0; if grep -q isolcpus /proc/cmdline; then hour=3600; fi
                for i in 1 2 3; do
                  kill_engine
                  date -s "@$(($(date +%s) + hour))" >/dev/null
                  launch $image "$1-$i" probe sleep || exit
                  say before "$(date +%s%3N)"
                  say guest "$(ctr task exec --exec-id clock "$1-$i" probe clock)"
                  say after "$(date +%s%3N)"
                  rund timeline "$1-$i" >$work/timeline
                  grep -q 'load template' $work/timeline; say loaded $?
                  grep -q 'clone VM' $work/timeline; say clone $?
                  say hello "$(awk '/^agent hello/ { print int($5) }' $work/timeline)"
                  ctr task exec --exec-id random "$1-$i" sh -c '
                    echo random=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d " ")
                    echo boot=$(cat /proc/sys/kernel/random/boot_id)'
                  discard "$1-$i"
                  say refusals "$(refused)"
                done
                date -s "@$(($(date +%s) - 3 * hour))" >/dev/null
                """,
            Lab.id("survivor"));
    result.expect("kept", "0").expect("modes", "600 root 700 root");
    List<String> yes = List.of("0", "0", "0");
    assertEquals(yes, result.values("refusals"), result::toString);
    assertEquals(yes, result.values("loaded"), result::toString);
    assertEquals(yes, result.values("clone"), result::toString);
    assertEquals(3, new HashSet<>(result.values("random")).size(), result::toString);
    assertEquals(3, new HashSet<>(result.values("boot")).size(), result::toString);
    for (int i = 0; i < 3; i++) {
      long guest = Long.parseLong(result.values("guest").get(i));
      long before = Long.parseLong(result.values("before").get(i));
      long after = Long.parseLong(result.values("after").get(i));
      // The clock comes with the agent's first call, which is slow in a new engine on a busy host.
      long hello = Long.parseLong(result.values("hello").get(i));
      assertTrue(guest > before - 50 - hello && guest < after + 50, result::toString);
    }
  }

  @Test
  void aDamagedFileIsRefusedOnceAndTheSandboxBoots() {
    Result result =
        Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                file=$(own)
                cp -p "$file" "$work/good"
                size=$(stat -c %s "$file")
                # In the header, in the first and the last page of memory, between; then cut short.
                for at in 100 9000 $((size / 2)) $((size - 1)) cut; do
                  kill_engine
                  cp -p "$work/good" "$file"
                  if [ $at = cut ]; then
                    truncate -s $((size / 2)) "$file"
                  else
                    byte=$(od -An -tu1 -j $at -N 1 "$file")
                    printf "\\\\$(printf %03o $((byte ^ 1)))" |
                      dd of="$file" seek=$at bs=1 conv=notrunc status=none
                  fi
                  clone "$1-$at"; say clone $?
                  say refusals "$(refused)"
                done
                until_true 240 clone "$1-again"; say again $?
                """,
            Lab.id("damaged"));
    result.expect("kept", "0").expect("again", "0");
    assertEquals(List.of("1", "1", "1", "1", "1"), result.values("clone"), result::toString);
    assertEquals(List.of("1", "1", "1", "1", "1"), result.values("refusals"), result::toString);
  }

  @Test
  void anEngineThatIsKilledWhileItMakesOrWritesATemplateLeavesNoHalfOfOne() {
    Lab.script(
            TIMEOUT,
            FUNCTIONS
                + """
                making() { grep -qs '^vcpu0-template' /proc/"$(engines)"/task/*/comm; }
                writing() {
                  local engine end=$((SECONDS + 120))
                  engine=$(engines)
                  until ls -l "/proc/$engine/fd" | grep -q "$templates/#"; do
                    if kept || [ $SECONDS -ge $end ]; then return 1; fi
                  done
                }
                for moment in making writing; do
                  for attempt in 1 2 3 4 5; do
                    kill_engine
                    rm -f $templates/*
                    clone "$1-$moment-$attempt"
                    if [ $moment = making ]; then until_true 60 making; else writing; fi && break
                  done
                  say $moment $?
                  kill_engine
                  say files_$moment "$(find $templates -type f ! -name '*.snapshot' | wc -l)"
                  say next_$moment "$(sandbox $image "$1-$moment-next" echo works)"
                done
                until_true 240 clone "$1-again"; say again $?
                until_true 120 kept; say kept_again $?
                say refusals "$(refused)"
                """,
            Lab.id("killed"))
        .expect("kept", "0")
        .expect("making", "0")
        .expect("writing", "0")
        .expect("files_making", "0")
        .expect("files_writing", "0")
        .expect("next_making", "works")
        .expect("next_writing", "works")
        .expect("again", "0")
        .expect("kept_again", "0")
        .expect("refusals", "0");
  }
}
