package io.rund.kvm.fs;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.util.regex.Pattern;

/**
 * Where a file is in its share: names with '/' between them, none of which is "." or ".."; empty
 * for the share's root. At most 4095 bytes, which need not be text.
 *
 * @param bytes a character for each byte
 */
record SharePath(String bytes) {
  /** PATH_MAX of Linux, with the terminator. */
  static final int CAPACITY = 4096;

  private static final Pattern NO_NAME = Pattern.compile("(^|/)\\.{0,2}(/|\\z)");

  /**
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION if it is no such path
   */
  SharePath {
    boolean wellFormed =
        bytes.length() < CAPACITY && bytes.indexOf(0) < 0 && !NO_NAME.matcher(bytes).find();
    if (!bytes.isEmpty() && !wellFormed) {
      throw SnapshotReader.damaged("a file is not below its share");
    }
  }

  boolean isRoot() {
    return bytes.isEmpty();
  }

  static void write(SharePath path, SnapshotWriter out) {
    out.int32(path.bytes.length());
    out.bytes(path.toBytes());
  }

  static SharePath read(SnapshotReader in) {
    int length = in.int32("the length of a path", 0, CAPACITY - 1);
    return new SharePath(new String(in.bytes("a path", length), ISO_8859_1));
  }

  /** Without a terminator. */
  byte[] toBytes() {
    return bytes.getBytes(ISO_8859_1);
  }
}
