package io.rund.e2e;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/**
 * Bundles that containerd does not make but somebody may, given to the engine as containerd gives
 * them.
 */
@E2e
class BadBundleTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  /** Shell: create ID BUNDLE calls the engine's Task service. Why one compiler: docs/lab.md. */
  private static final String CREATE =
      """
      create() { "%s" -XX:TieredStopAtLevel=1 -cp "%s" io.rund.e2e.RawCreate /run/rund/node-*/engine.sock "$@"; }
      """
          .formatted(
              Path.of(System.getProperty("java.home"), "bin/java"),
              System.getProperty("java.class.path"));

  @Test
  void withoutASpecification() {
    Lab.script(
            TIMEOUT,
            CREATE
                + """
                mkdir $work/empty $work/broken
                printf '{"ociVersion": "1.0.2", "process": {' >$work/broken/config.json
                create "$1" $work/empty | sed 's/^/empty_/'
                create "$1" $work/broken | sed 's/^/broken_/'
                """,
            Lab.id("bundle"))
        .expect("empty_code", "INVALID_ARGUMENT")
        .expectWords("empty_message", "config.json does not exist")
        .expect("broken_code", "INVALID_ARGUMENT")
        .expectWords("broken_message", "config.json is not valid JSON", "line 1");
  }

  @Test
  void withOneArgumentOfOneMebibyte() {
    Lab.script(
            TIMEOUT,
            CREATE
                + """
                ctr container create --snapshotter $snapshotter --runtime $runtime $image "$1" echo MARK || exit
                mkdir $work/long
                ctr container info --spec "$1" |
                  awk 'BEGIN { for (s = "x"; length(s) < 1048576;) s = s s } { sub("MARK", s); print }' >$work/long/config.json
                say size "$(($(stat -c %s $work/long/config.json) > 1048576))"
                create "$1" $work/long
                ctr container rm "$1"
                """,
            Lab.id("bundle"))
        .expect("size", "1")
        .expect("code", "INVALID_ARGUMENT")
        .expectWords("message", "argument list too long", "process.args[1]");
  }
}
