package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;

/** Files that decide what an engine does, and so must be of its own user's making. */
final class OwnFiles {
  private static final int WRITABLE_BY_OTHERS = 022;

  private OwnFiles() {}

  /**
   * That nobody else has written it, nor can.
   *
   * @throws RundException FAILED_PRECONDITION if not
   */
  static void require(Path path) throws IOException {
    Map<String, Object> found =
        Files.readAttributes(path, "unix:uid,mode", LinkOption.NOFOLLOW_LINKS);
    Object self = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
    if (!found.get("uid").equals(self) || ((int) found.get("mode") & WRITABLE_BY_OTHERS) != 0) {
      throw RundException.precondition(
          "it has owner %s and mode %o: it must be owned by user %s and writable by nobody else"
              .formatted(found.get("uid"), (int) found.get("mode") & 07777, self));
    }
  }
}
