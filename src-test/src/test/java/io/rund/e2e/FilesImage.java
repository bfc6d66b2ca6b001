package io.rund.e2e;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The image of real programs, and of those that test file systems, in the lab's containerd. In a
 * script its reference is {@code $files_image}, and {@code overlaid} runs it.
 */
final class FilesImage {
  private static final Duration LONG = Duration.ofMinutes(6);

  /** The folder of the programs, the same in the lab. */
  static final Path PROGRAMS = Lab.MODULE.resolve("target/fs");

  private static boolean ready;

  private FilesImage() {}

  /** Builds it and brings it to the lab, once a run. The lab must be up. */
  static synchronized void prepare() {
    if (ready) {
      return;
    }
    List<String> image = new ArrayList<>();
    image.add(Lab.MODULE.resolve("images/files.sh").toString());
    Lab.run(LONG, List.of(Lab.MODULE.resolve("fs/build.sh").toString()))
        .expectExit(0)
        .out()
        .lines()
        .forEach(image::add);
    String archive = Lab.run(LONG, image).expectExit(0).out().strip();
    Lab.script(
            LONG,
            """
            key=$(basename "$1" .tar)
            ctr image ls name==$files_image | grep -q "archive=$key" && exit
            ctr image import --snapshotter overlayfs "$1" >&2 || exit 1
            ctr image label $files_image "archive=$key"
            """,
            archive)
        .expectExit(0);
    ready = true;
  }
}
