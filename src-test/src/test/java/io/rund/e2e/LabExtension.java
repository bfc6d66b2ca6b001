package io.rund.e2e;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Brings the lab up with the test image, once a run or when it has gone, and after each test
 * compares what is on the host with what was there before the first one. A failed test shows the
 * end of the logs.
 */
final class LabExtension implements BeforeAllCallback, AfterEachCallback {
  private static final Duration LONG = Duration.ofMinutes(5);

  private static HostState baseline;
  private static String broken = "";
  private static String testImage = "";
  private static boolean criPrepared;

  @Override
  public void beforeAll(ExtensionContext context) {
    if (!broken.isEmpty()) {
      throw new AssertionError(broken);
    }
    if (baseline == null || !Lab.answers()) {
      prepare();
    }
  }

  private static void prepare() {
    try {
      start();
    } catch (AssertionError e) {
      broken = "the lab or the first sandbox does not start: " + e.getMessage();
      throw new AssertionError(broken, e);
    }
  }

  private static void start() {
    Lab.run(LONG, List.of(Lab.MODULE.resolve("lab/lab").toString(), "up")).expectExit(0);
    String probe =
        Lab.run(LONG, List.of(Lab.MODULE.resolve("probe/build.sh").toString()))
            .expectExit(0)
            .out()
            .strip();
    String archive =
        Lab.run(LONG, List.of(Lab.MODULE.resolve("images/test.sh").toString(), probe))
            .expectExit(0)
            .out()
            .strip();
    testImage = archive;
    criPrepared = false;
    // Twice and two at once: what the engine makes once, it has made then.
    Lab.script(
            LONG,
            """
            sweep
            ctr image import --snapshotter "$snapshotter" "$1" >&2 || exit 1
            # For those who ask for it. containerd 2 itself unpacks for its default snapshotter alone.
            ctr image import --snapshotter devmapper "$1" >&2 ||
              ctr image import --local --snapshotter devmapper "$1" >&2 || exit 1
            # What the engine opens once, as for shared folders, is there from then on.
            sandbox --mount "type=bind,src=$work,dst=/warm,options=rbind" $image warm-up-1 sh -c 'echo >/warm/up' || exit 1
            sandbox $image warm-up-2 true & sandbox $image warm-up-3 true
            wait $!
            """,
            archive)
        .expectExit(0);
    baseline = HostState.settled();
  }

  /** Gives containerd's CRI plugin its images and makes its first pod; once a run. */
  static synchronized void prepareCri() {
    if (!criPrepared) {
      String images = Lab.MODULE.resolve("images").toString();
      String pause = Lab.run(LONG, List.of(images + "/pause.sh")).expectExit(0).out().strip();
      Lab.script(
              LONG,
              """
              for archive in "$@"; do ctr -n k8s.io image import "$archive" >&2 || exit; done
              """,
              pause,
              testImage)
          .expectExit(0);
      // What stays after a first pod, such as a bridge, is there from then on.
      new CriPod("runc").close();
      baseline = HostState.settled();
      criPrepared = true;
    }
  }

  @Override
  public void afterEach(ExtensionContext context) {
    Throwable failure = context.getExecutionException().orElse(null);
    try {
      HostState.assertNothingLeft(baseline);
    } catch (AssertionError e) {
      recover(context);
      if (failure == null) {
        throw e;
      }
      failure.addSuppressed(e);
      return;
    }
    if (failure != null) {
      recover(context);
    }
  }

  /** What one test left must not fail the next, nor must a lab that has gone. */
  private static void recover(ExtensionContext context) {
    if (!Lab.answers()) {
      System.err.printf("%s ended with the lab: it is started again%n", context.getDisplayName());
      prepare();
      return;
    }
    showLogs(context);
    Lab.script(LONG, "sweep");
    baseline = HostState.settled();
  }

  private static void showLogs(ExtensionContext context) {
    Result logs =
        Lab.script(
            LONG,
            """
            echo '--- engine.log ---'; engine_log 30
            for engine in $(engines); do
              echo "--- descriptors of $engine, but for its program ---"
              readlink /proc/$engine/fd/* | grep -v '[.]jar$' | sed 's/\\[[0-9]*\\]/[]/' | sort | uniq -c
            done
            echo '--- containerd.log ---'; tail -n 30 "$RUND_LAB_LOG"
            """);
    System.err.printf("%s failed:%n%s%n", context.getDisplayName(), logs.out());
  }
}
