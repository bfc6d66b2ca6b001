package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/**
 * Operations on extended attributes. There are none on O_PATH descriptors before Linux 6.13, so
 * they go by the path that a descriptor has in /proc, which leads to the file itself: to a symbolic
 * link, a FIFO or a device without opening it. Thread-safe.
 */
final class Xattrs {
  /** What guests may have of a file; the rest is the host's own business. */
  private static final byte[][] PREFIXES = {
    ascii("user."),
    ascii("security."),
    ascii("trusted."),
    ascii("system.posix_acl_access"),
    ascii("system.posix_acl_default")
  };

  private final NodeTable nodes;

  Xattrs(NodeTable nodes) {
    this.nodes = nodes;
  }

  int set(long id, Text name, MemorySegment value, int flags, boolean killSgid) {
    return change(
        id,
        name,
        killSgid,
        path -> FileCalls.setxattr(path, name.address(), value.address(), value.byteSize(), flags));
  }

  int remove(long id, Text name) {
    return change(id, name, false, path -> FileCalls.removexattr(path, name.address()));
  }

  /** What is done to the file at a path; returns 0, or -1 with errno. */
  @FunctionalInterface
  private interface Change {
    int apply(long path);
  }

  private int change(long id, Text name, boolean killSgid, Change change) {
    if (!allows(name)) {
      return -Linux.EOPNOTSUPP;
    }
    Node node = nodes.acquire(id);
    if (node == null) {
      return Names.refusal(id);
    }
    try {
      return node.share.readOnly
          ? -Linux.EROFS
          : FileCalls.result(change.apply(Worker.changing(killSgid).absolute(node.fd)));
    } finally {
      node.release();
    }
  }

  int get(long id, Text name, MemorySegment out) {
    if (!allows(name)) {
      return -Linux.EOPNOTSUPP;
    }
    if (id == SharedFileSystem.ROOT) {
      return -Linux.ENODATA;
    }
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      long path = Worker.current().absolute(node.fd);
      return (int)
          FileCalls.result(FileCalls.getxattr(path, name.address(), out.address(), out.byteSize()));
    } finally {
      node.release();
    }
  }

  int list(long id, MemorySegment out) {
    if (id == SharedFileSystem.ROOT) {
      return 0;
    }
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      long path = Worker.current().absolute(node.fd);
      return (int) FileCalls.result(FileCalls.listxattr(path, out.address(), out.byteSize()));
    } finally {
      node.release();
    }
  }

  private static boolean allows(Text name) {
    for (byte[] prefix : PREFIXES) {
      if (name.startsWith(prefix)) {
        return true;
      }
    }
    return false;
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
