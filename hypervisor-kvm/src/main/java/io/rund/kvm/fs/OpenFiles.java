package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;

/** Operations that open and make regular files. Thread-safe. */
final class OpenFiles {
  /**
   * What is handed to the host of the guest's flags. Not among them: O_APPEND, which would append
   * what the guest's page cache writes back in the middle; the guest says it again with each write.
   * O_SYNC and O_DSYNC, for the same reason. O_NONBLOCK and the like mean nothing for a regular
   * file. O_DIRECT stays: a page of the guest is a page of the host, so what its program has
   * aligned is aligned, and what it has not fails as on the host.
   */
  private static final int HOST_FLAGS =
      Linux.O_ACCMODE | Linux.O_TRUNC | Linux.O_DIRECT | Linux.O_NOATIME;

  /** Those of them that an open file is opened with again. */
  static final int KEPT_FLAGS = HOST_FLAGS & ~Linux.O_TRUNC;

  private final Names names;
  private final NodeTable nodes;
  private final HandleTable handles;
  private final NodeBudget.Part budget;

  OpenFiles(Names names, NodeTable nodes, HandleTable handles, NodeBudget.Part budget) {
    this.names = names;
    this.nodes = nodes;
    this.handles = handles;
    this.budget = budget;
  }

  long open(long id, int flags, boolean killSuidGid) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return id == SharedFileSystem.ROOT ? -Linux.EISDIR : -Linux.ESTALE;
    }
    try {
      return open(node, flags, killSuidGid);
    } finally {
      node.release();
    }
  }

  private long open(Node node, int flags, boolean killSuidGid) {
    int refused = refusesType(node.type);
    if (refused == 0) {
      refused = refusesFlags(node.share, flags);
    }
    if (refused < 0) {
      return refused;
    }
    if (!budget.take()) {
      return -Linux.ENFILE;
    }
    int fd = Worker.changing(killSuidGid).reopen(node.fd, flags & HOST_FLAGS);
    if (fd < 0) {
      budget.give();
      return Errno.ofOpen(fd);
    }
    return handles.addFile(node, fd, flags);
  }

  /**
   * Only regular files are opened on the host: opening a FIFO waits, opening a device acts. What a
   * node is was read of its own descriptor and never changes.
   */
  private static int refusesType(int type) {
    return switch (type) {
      case Linux.S_IFREG -> 0;
      case Linux.S_IFDIR -> -Linux.EISDIR;
      case Linux.S_IFLNK -> -Linux.ELOOP;
      default -> -Linux.ENXIO;
    };
  }

  /** Why a share does not let these be opened, or 0. */
  static int refusesFlags(MountedShare share, int flags) {
    if ((flags & Linux.O_ACCMODE) == Linux.O_ACCMODE) {
      return -Linux.EINVAL;
    }
    boolean changes = (flags & (Linux.O_ACCMODE | Linux.O_TRUNC)) != Linux.O_RDONLY;
    return changes && share.readOnly ? -Linux.EROFS : 0;
  }

  long create(Caller caller, long parent, Name name, int mode, int flags, Entry out) {
    Node folder = nodes.acquire(parent);
    if (folder == null) {
      return Names.refusal(parent);
    }
    try {
      int refused = Names.refuses(folder, name);
      if (refused == 0) {
        refused = refusesFlags(folder.share, flags);
      }
      if (refused < 0) {
        return refused;
      }
      // What is there already may be anything, so it is looked at before it is opened.
      long made =
          make(
              caller,
              folder,
              name.address(),
              mode,
              (flags & HOST_FLAGS) | Linux.O_CREAT | Linux.O_EXCL | Linux.O_NOFOLLOW,
              out);
      boolean existing = made == -Linux.EEXIST && (flags & Linux.O_EXCL) == 0;
      return existing ? openExisting(folder, name, flags, out) : made;
    } finally {
      folder.release();
    }
  }

  private long openExisting(Node folder, Name name, int flags, Entry out) {
    int found = names.find(folder, name, false, out);
    if (found < 0) {
      return found;
    }
    // Whoever made it in the meantime, its setuid bit was not meant for what is written now.
    long handle = open(out.node(), flags, true);
    if (handle < 0) {
      nodes.forget(out.node(), 1);
    }
    return handle;
  }

  long temporary(Caller caller, long parent, int mode, int flags, Entry out) {
    Node folder = nodes.acquire(parent);
    if (folder == null) {
      return Names.refusal(parent);
    }
    try {
      int refused = refusesFlags(folder.share, flags);
      if (refused == 0 && folder.share.readOnly) {
        refused = -Linux.EROFS;
      }
      int host = (flags & (HOST_FLAGS | Linux.O_EXCL)) | Linux.O_TMPFILE;
      return refused < 0
          ? refused
          : make(caller, folder, Worker.DOT.address(), mode, host & ~Linux.O_TRUNC, out);
    } finally {
      folder.release();
    }
  }

  /** Opens a file that is not there yet, and enters it. */
  private long make(Caller caller, Node folder, long path, int mode, int flags, Entry out) {
    // For handle and node, before anything is made, since nothing is to be there after an error.
    if (!budget.take()) {
      return -Linux.ENFILE;
    }
    if (!budget.take()) {
      budget.give();
      return -Linux.ENFILE;
    }
    Worker worker = Worker.changing(false);
    worker.as(caller);
    int fd =
        FileCalls.result(FileCalls.openat(folder.fd, path, flags | Linux.O_CLOEXEC, mode & 07777));
    worker.asEngine();
    int pathFd = fd < 0 ? fd : worker.reopen(fd, Linux.O_PATH);
    if (pathFd < 0) {
      if (fd >= 0) {
        int ignored = FileCalls.close(fd);
      }
      budget.give();
      budget.give();
      return Errno.ofOpen(pathFd);
    }
    int entered = nodes.enter(folder.share, folder, pathFd, true, out);
    Node node = entered < 0 ? null : nodes.acquire(out.node());
    if (node == null) {
      int ignored = FileCalls.close(fd);
      budget.give();
      return entered < 0 ? entered : -Linux.ESTALE;
    }
    try {
      return handles.addFile(node, fd, flags);
    } finally {
      node.release();
    }
  }
}
