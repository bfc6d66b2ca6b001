package io.rund.e2e;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** A host on which rund cannot work says what is missing and how to mend it. */
@E2e
class BadHostTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  @Test
  void withoutKvm() {
    // Another engine, for the one that runs may have opened it long ago.
    Lab.script(
            TIMEOUT,
            """
            variant
            mv /dev/kvm /dev/kvm.away
            attempt refused sandbox $image "$1" true
            mv /dev/kvm.away /dev/kvm
            variant_end
            """,
            Lab.id("no-kvm"))
        .expect("refused_status", "1")
        .expectWords("refused", "/dev/kvm")
        .expect("engine_left", "0");
  }

  @Test
  void withoutAGuestKernel() {
    Lab.script(
            TIMEOUT,
            """
            variant "kernel = \\"$work/no-such-kernel\\""
            attempt refused sandbox $image "$1" true
            say path "$work/no-such-kernel"
            variant_end
            """,
            Lab.id("no-kernel"))
        .expect("refused_status", "1")
        .expectWords("refused", "no-such-kernel", "kernel")
        .expect("engine_left", "0");
  }

  @Test
  void withAGuestKernelThatIsNone() {
    Lab.script(
            TIMEOUT,
            """
            "$PROBE" emit 1000000 >$work/garbage-kernel
            variant "kernel = \\"$work/garbage-kernel\\""
            attempt refused sandbox $image "$1" true
            variant_end
            """,
            Lab.id("bad-kernel"))
        .expect("refused_status", "1")
        .expectWords("refused", "garbage-kernel", "ELF")
        .expect("engine_left", "0");
  }

  @Test
  void withAConfigurationThatHasAnUnknownKey() {
    Lab.script(
            TIMEOUT,
            """
            variant 'defualt_memory = "128MiB"'
            attempt refused sandbox $image "$1" true
            variant_end
            """,
            Lab.id("bad-config"))
        .expect("refused_status", "1")
        .expectWords("refused", "unknown key defualt_memory", "default_memory")
        .expect("engine_left", "0");
  }

  @Test
  void withTheEnginesSocketTakenByAnother() {
    Lab.script(
            TIMEOUT,
            """
            variant
            taken=$work/variant/$(basename /run/rund/node-*)/engine.sock
            mkdir -p "${taken%/*}"
            "$PROBE" squat "$taken" & squatter=$!
            until_true 20 test -S "$taken"
            attempt refused sandbox $image "$1" true
            kill $squatter
            variant_end
            """,
            Lab.id("squatter"))
        .expect("refused_status", "1")
        .expectWords("refused", "engine.sock", "not", "engine")
        .expect("engine_left", "0");
  }

  @Test
  void anEngineWithNothingToDoLeaves() {
    Lab.script(
            TIMEOUT,
            """
            variant
            say works "$(sandbox $image "$1" echo yes)"
            variant_end
            say sockets "$(find $work/variant -name '*.sock' | wc -l)"
            """,
            Lab.id("idle"))
        .expect("works", "yes")
        .expect("engine_left", "0")
        .expect("sockets", "0");
  }
}
