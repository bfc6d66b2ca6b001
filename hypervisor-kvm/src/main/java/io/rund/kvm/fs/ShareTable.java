package io.rund.kvm.fs;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;

/** The shares of a sandbox by name: the contents of the root folder. Thread-safe. */
final class ShareTable {
  private static final int DT_SHIFT = 12;

  /** Cookies 1 and 2 lead past "." and "..", the one of a share past that share. */
  private static final long FIRST_COOKIE = 3;

  static final int LONGEST_NAME = 255;

  private final String sandboxId;
  private final Map<String, MountedShare> byName = new ConcurrentHashMap<>();
  private final ConcurrentSkipListMap<Long, MountedShare> byCookie = new ConcurrentSkipListMap<>();
  private long nextCookie = FIRST_COOKIE;
  private boolean closed;

  ShareTable(String sandboxId) {
    this.sandboxId = sandboxId;
  }

  synchronized void add(Share share) {
    try (Fd root = share.root()) {
      check(share);
      Attributes attributes = new Attributes();
      int found = Worker.attributes(root.number(), attributes);
      if (found < 0) {
        throw refusal(ErrorCode.UNAVAILABLE, share, "its root cannot be read: errno " + -found);
      }
      int type = attributes.mode() & Linux.S_IFMT;
      if (type != Linux.S_IFDIR && type != Linux.S_IFREG) {
        throw refusal(
            ErrorCode.INVALID_ARGUMENT, share, "it is neither a folder nor a regular file");
      }
      // The same open file, so that a mount which ends with its descriptor lives on.
      int fd = FileCalls.result(FileCalls.fcntl(root.number(), Linux.F_DUPFD_CLOEXEC, 0));
      if (fd < 0) {
        throw refusal(ErrorCode.RESOURCE_EXHAUSTED, share, "no descriptor is left: errno " + -fd);
      }
      MountedShare mounted =
          new MountedShare(
              fd, attributes, share.name(), nextCookie++, share.readOnly(), share.cache());
      byName.put(mounted.name, mounted);
      byCookie.put(mounted.cookie, mounted);
    }
  }

  private void check(Share share) {
    if (!share.name().matches("[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")) {
      throw refusal(
          ErrorCode.INVALID_ARGUMENT,
          share,
          "a name is 1 to 255 of letters, digits, '.', '_' and '-', no '.' in front");
    }
    if (closed) {
      throw refusal(ErrorCode.FAILED_PRECONDITION, share, "the sandbox is being stopped");
    }
    if (byName.containsKey(share.name())) {
      throw refusal(ErrorCode.ALREADY_EXISTS, share, "there is one of that name");
    }
  }

  private RundException refusal(ErrorCode code, Share share, String why) {
    return new RundException(
        code, "cannot add share " + share.name() + " to sandbox " + sandboxId + ": " + why);
  }

  /** Takes a share out and marks it as removed; null if there is none. The caller releases it. */
  synchronized MountedShare remove(String name) {
    MountedShare share = byName.remove(name);
    if (share != null) {
      byCookie.remove(share.cookie);
      share.removed = true;
    }
    return share;
  }

  /** Any name of a share, or null; from now on none can be added. */
  synchronized String close() {
    closed = true;
    return byName.isEmpty() ? null : byName.keySet().iterator().next();
  }

  /** The share, which the caller must release, or null. */
  MountedShare acquire(String name) {
    MountedShare share = byName.get(name);
    return share != null && share.acquire() ? share : null;
  }

  Iterable<MountedShare> all() {
    return byCookie.values();
  }

  int count() {
    return byCookie.size();
  }

  /** Lists the root folder. */
  int read(long cookie, DirectorySink sink) {
    if (cookie < 1 && !entry(sink, ".", SharedFileSystem.ROOT, Linux.S_IFDIR, 1)) {
      return 0;
    }
    if (cookie < 2 && !entry(sink, "..", SharedFileSystem.ROOT, Linux.S_IFDIR, 2)) {
      return 0;
    }
    for (MountedShare share : byCookie.tailMap(Math.max(cookie, 2), false).values()) {
      if (!entry(sink, share.name, share.inode, share.type, share.cookie)) {
        return 0;
      }
    }
    return 0;
  }

  private static boolean entry(
      DirectorySink sink, String name, long inode, int type, long nextCookie) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocateFrom(name, StandardCharsets.US_ASCII);
      return sink.add(bytes, 0, name.length(), inode, type >>> DT_SHIFT, nextCookie);
    }
  }
}
