package io.rund.e2e;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Output that no client takes. */
@E2e
@Tag("containerd")
class LogTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(4);

  @Test
  void goesIntoAFileOrToAProgram() {
    Lab.script(
            TIMEOUT,
            """
            cat >$work/logger <<'END'
            #!/bin/bash
            echo "$CONTAINER_NAMESPACE $*" >"$2/who"
            exec 5>&-
            cat <&3 >"$2/out" & cat <&4 >"$2/err"
            wait
            END
            chmod +x $work/logger
            run() { ctr run -d --snapshotter "$snapshotter" --runtime "$runtime" "$@"; }
            say_both='echo output; echo errors >&2'
            run --log-uri file://$work/folder/log $image "$1-file" sh -c "$say_both" || exit
            run --log-uri "binary://$work/logger?folder=$work" $image "$1-program" sh -c "$say_both" || exit
            for kind in file program; do
              until_true 60 task_is "$1-$kind" STOPPED; ctr task rm "$1-$kind"; ctr container rm "$1-$kind"
            done
            say file "$(sort $work/folder/log | tr '\\n' ' ')"
            say who "$(sed "s|$work|WORK|" $work/who)"
            say out "$(cat $work/out)"
            say err "$(cat $work/err)"
            attempt missing run --log-uri binary:///no/such/logger $image "$1-missing" true
            discard "$1-missing"
            """,
            Lab.id("log"))
        .expect("file", "errors output")
        .expect("who", "e2e folder WORK")
        .expect("out", "output")
        .expect("err", "errors")
        .expectWords("missing", "logging program /no/such/logger");
  }
}
