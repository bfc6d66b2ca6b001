package io.rund.kvm.fs;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/** Tells where files of a share are, and opens them there. The share outlives it. One thread's. */
final class SharePaths {
  /** Three 64-bit words: flags, mode, resolve (include/uapi/linux/openat2.h). */
  private static final int OPEN_HOW_SIZE = 24;

  private static final int FLAGS = Linux.O_PATH | Linux.O_NOFOLLOW | Linux.O_CLOEXEC;
  private static final int RESOLVE =
      Linux.RESOLVE_BENEATH | Linux.RESOLVE_NO_SYMLINKS | Linux.RESOLVE_NO_MAGICLINKS;

  /** What the kernel puts behind the last name that a file had; a name may end so, too. */
  private static final String DELETED = " (deleted)";

  final MountedShare share;

  private final ProcPath proc = new ProcPath();
  private final MemorySegment path = Arena.ofAuto().allocate(SharePath.CAPACITY);
  private final MemorySegment how = Arena.ofAuto().allocate(OPEN_HOW_SIZE, Long.BYTES);
  private final Attributes root = new Attributes();
  private final Attributes found = new Attributes();

  /** What comes before each path of the share. */
  private final Optional<String> prefix;

  SharePaths(MountedShare share) {
    this.share = share;
    how.setAtIndex(ValueLayout.JAVA_LONG, 0, FLAGS);
    how.setAtIndex(ValueLayout.JAVA_LONG, 2, RESOLVE);
    // Of a share whose attributes cannot be read, every path is doubtful.
    int _ = Worker.attributes(share.fd, root);
    prefix = absolute(share.fd);
  }

  /**
   * Where a file of the share is now; empty if it has no name there, or none that is known: of a
   * file's hard links, the one counts by which it was found first.
   */
  Optional<SharePath> of(Node node) {
    return prefix
        .flatMap(above -> absolute(node.fd).flatMap(file -> below(above, file)))
        .filter(path -> !isDoubtful(path, node) || leadsTo(path, node));
  }

  /**
   * As the kernel says it: from the root of the process, or of a mount that is in no namespace.
   * Only what follows the share's own is used.
   */
  private Optional<String> absolute(int fd) {
    long length =
        FileCalls.result(
            FileCalls.readlinkat(ProcPath.folder(), proc.in(fd), path.address(), path.byteSize()));
    return length < 0 || length == path.byteSize()
        ? Optional.empty()
        : Optional.of(
            new String(path.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), ISO_8859_1));
  }

  private static Optional<SharePath> below(String root, String file) {
    if (file.equals(root)) {
      return Optional.of(new SharePath(""));
    }
    String folder = root.endsWith("/") ? root : root + "/";
    return file.startsWith(folder)
        ? Optional.of(new SharePath(file.substring(folder.length())))
        : Optional.empty();
  }

  /**
   * Whether the kernel may mean something else: it says the root of what has been moved out of a
   * mount, and a path within its own mount of what was unmounted.
   */
  private boolean isDoubtful(SharePath path, Node node) {
    return path.isRoot() || node.mount != root.mount() || path.bytes().endsWith(DELETED);
  }

  private boolean leadsTo(SharePath path, Node node) {
    int fd = open(path);
    if (fd < 0) {
      return false;
    }
    boolean same = Worker.attributes(fd, found) == 0 && node.is(found);
    int _ = FileCalls.close(fd);
    return same;
  }

  /**
   * An O_PATH descriptor of what is there, or a negative errno. No link is followed, and nothing
   * outside the share is reached.
   */
  int open(SharePath at) {
    if (at.isRoot()) {
      return FileCalls.result(FileCalls.fcntl(share.fd, Linux.F_DUPFD_CLOEXEC, 0));
    }
    byte[] bytes = at.toBytes();
    MemorySegment.copy(bytes, 0, path, ValueLayout.JAVA_BYTE, 0, bytes.length);
    path.set(ValueLayout.JAVA_BYTE, bytes.length, (byte) 0);
    return FileCalls.result(
        FileCalls.openat2(share.fd, path.address(), how.address(), OPEN_HOW_SIZE));
  }

  /** Whether a file with these attributes, found at a path, is on another mount than the root. */
  boolean isElsewhere(Attributes file) {
    return file.mount() != root.mount() || file.fileSystem() != root.fileSystem();
  }
}
