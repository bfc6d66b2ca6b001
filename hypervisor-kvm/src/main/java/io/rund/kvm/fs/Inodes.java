package io.rund.kvm.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.MemorySegment;

/** Operations on a file as such, whatever its names. Thread-safe. */
final class Inodes {
  private final NodeTable nodes;
  private final HandleTable handles;

  Inodes(NodeTable nodes, HandleTable handles) {
    this.nodes = nodes;
    this.handles = handles;
  }

  int attributes(long id, Attributes out) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      out.setCache(node.share.cache);
      return Worker.attributes(node.fd, out);
    } finally {
      node.release();
    }
  }

  CachePolicy cachePolicy(long id) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return CachePolicy.NONE;
    }
    node.release();
    return node.share.cache;
  }

  int change(long id, long handle, AttributeChange change, Attributes out) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return Names.refusal(id);
    }
    try {
      int result = node.share.readOnly ? -Linux.EROFS : change(node, handle, change);
      if (result < 0) {
        return result;
      }
      out.setCache(node.share.cache);
      return Worker.attributes(node.fd, out);
    } finally {
      node.release();
    }
  }

  private int change(Node node, long handle, AttributeChange change) {
    int result = 0;
    if (change.mode >= 0) {
      Worker worker = Worker.changing(false);
      result =
          FileCalls.result(
              FileCalls.fchmodat(Worker.proc(), worker.inProc(node.fd), change.mode, 0));
    }
    if (result == 0 && (change.uid != -1 || change.gid != -1)) {
      Worker.changing(change.killSuidGid);
      result =
          FileCalls.result(
              FileCalls.fchownat(
                  node.fd, Worker.EMPTY.address(), change.uid, change.gid, Linux.AT_EMPTY_PATH));
    }
    if (result == 0 && change.size != -1) {
      result = truncate(node, handle, change.size, Worker.changing(change.killSuidGid));
    }
    if (result == 0 && change.changesTimes()) {
      long times = Worker.changing(false).times(change);
      result =
          FileCalls.result(
              FileCalls.utimensat(node.fd, Worker.EMPTY.address(), times, Linux.AT_EMPTY_PATH));
    }
    return result;
  }

  private int truncate(Node node, long handle, long size, Worker worker) {
    if (node.type != Linux.S_IFREG) {
      return node.type == Linux.S_IFDIR ? -Linux.EISDIR : -Linux.EINVAL;
    }
    if (handle == SharedFileSystem.NO_HANDLE) {
      return FileCalls.result(FileCalls.truncate(worker.absolute(node.fd), size));
    }
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      return FileCalls.result(FileCalls.ftruncate(file.fd, size));
    } finally {
      file.release();
    }
  }

  int readLink(long id, MemorySegment out) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      return node.type != Linux.S_IFLNK
          ? -Linux.EINVAL
          : (int)
              FileCalls.result(
                  FileCalls.readlinkat(
                      node.fd, Worker.EMPTY.address(), out.address(), out.byteSize()));
    } finally {
      node.release();
    }
  }

  int statFs(long id, FsStatistics out) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      return FileCalls.result(FileCalls.fstatfs(node.fd, out.memory().address()));
    } finally {
      node.release();
    }
  }

  /** Writes out the node's file system. */
  int sync(long id) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      boolean canOpen = node.type == Linux.S_IFDIR || node.type == Linux.S_IFREG;
      return canOpen ? sync(node) : sync(node.share);
    } finally {
      node.release();
    }
  }

  /** Writes out the file system that a descriptor is on. */
  static int sync(Descriptor descriptor) {
    int fd = Worker.current().reopen(descriptor.fd, Linux.O_RDONLY);
    if (fd < 0) {
      return Errno.ofOpen(fd);
    }
    int result = FileCalls.result(FileCalls.syncfs(fd));
    int ignored = FileCalls.close(fd);
    return result;
  }
}
