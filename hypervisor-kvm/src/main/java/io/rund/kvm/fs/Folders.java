package io.rund.kvm.fs;

import io.rund.core.linux.Linux;

/** Operations that list folders. Thread-safe. */
final class Folders {
  private final ShareTable shares;
  private final NodeTable nodes;
  private final HandleTable handles;
  private final NodeBudget.Part budget;
  private final FolderBuffers buffers;

  Folders(
      ShareTable shares,
      NodeTable nodes,
      HandleTable handles,
      NodeBudget.Part budget,
      FolderBuffers buffers) {
    this.shares = shares;
    this.nodes = nodes;
    this.handles = handles;
    this.budget = budget;
    this.buffers = buffers;
  }

  long open(long id) {
    if (id == SharedFileSystem.ROOT) {
      return budget.take() ? handles.addFolder(null, -1, buffers) : -Linux.ENFILE;
    }
    Node node = nodes.acquire(id);
    if (node == null) {
      return -Linux.ESTALE;
    }
    try {
      if (node.type != Linux.S_IFDIR) {
        return -Linux.ENOTDIR;
      }
      if (!budget.take()) {
        return -Linux.ENFILE;
      }
      int fd = Worker.current().reopen(node.fd, Linux.O_RDONLY | Linux.O_DIRECTORY);
      if (fd < 0) {
        budget.give();
        return Errno.ofOpen(fd);
      }
      return handles.addFolder(node, fd, buffers);
    } finally {
      node.release();
    }
  }

  int read(long handle, long cookie, DirectorySink sink) {
    OpenFolder folder = handles.acquireFolder(handle);
    if (folder == null) {
      return -Linux.EBADF;
    }
    try {
      return folder.node == null
          ? shares.read(cookie, sink)
          : folder.read(cookie, Worker.current().entries(), sink);
    } finally {
      folder.release();
    }
  }
}
