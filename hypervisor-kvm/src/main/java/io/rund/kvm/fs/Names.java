package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;

/** Operations that find, make, move and remove names. Thread-safe. */
final class Names {
  /** What may be asked of a rename; RENAME_WHITEOUT makes device nodes and is an overlay's. */
  private static final int RENAME_FLAGS = Linux.RENAME_NOREPLACE | Linux.RENAME_EXCHANGE;

  private final ShareTable shares;
  private final NodeTable nodes;
  private final NodeBudget.Part budget;

  Names(ShareTable shares, NodeTable nodes, NodeBudget.Part budget) {
    this.shares = shares;
    this.nodes = nodes;
    this.budget = budget;
  }

  /** What an operation on one name does, once all is in order; returns 0 or a negative errno. */
  @FunctionalInterface
  private interface Change {
    int apply(int folder, long name);
  }

  int lookup(long parent, Name name, Entry out) {
    if (name.isEmpty()) {
      return -Linux.EINVAL;
    }
    if (parent == SharedFileSystem.ROOT) {
      return lookupShare(name.toString(), out);
    }
    Node folder = nodes.acquire(parent);
    if (folder == null) {
      return -Linux.ESTALE;
    }
    try {
      return find(folder, name, false, out);
    } finally {
      folder.release();
    }
  }

  private int lookupShare(String name, Entry out) {
    MountedShare share = shares.acquire(name);
    if (share == null) {
      return -Linux.ENOENT;
    }
    try {
      int fd = FileCalls.result(FileCalls.fcntl(share.fd, Linux.F_DUPFD_CLOEXEC, 0));
      return fd < 0 ? Errno.ofOpen(fd) : nodes.enter(share, null, fd, false, out);
    } finally {
      share.release();
    }
  }

  /** Enters what a name leads to; never follows a link, nor opens what it finds. */
  int find(Node folder, Name name, boolean counted, Entry out) {
    int fd =
        FileCalls.result(
            FileCalls.openat(
                folder.fd, name.address(), Linux.O_PATH | Linux.O_NOFOLLOW | Linux.O_CLOEXEC, 0));
    if (fd < 0) {
      if (counted) {
        budget.give();
      }
      return Errno.ofOpen(fd);
    }
    return nodes.enter(folder.share, folder, fd, counted, out);
  }

  int symlink(Caller caller, long parent, Name name, Text target, Entry out) {
    return target.isEmpty()
        ? -Linux.ENOENT
        : make(
            caller,
            parent,
            name,
            out,
            (folder, path) -> FileCalls.symlinkat(target.address(), folder, path));
  }

  int makeNode(Caller caller, long parent, Name name, int mode, int device, Entry out) {
    long number = Integer.toUnsignedLong(device);
    return make(
        caller, parent, name, out, (folder, path) -> FileCalls.mknodat(folder, path, mode, number));
  }

  int makeDirectory(Caller caller, long parent, Name name, int mode, Entry out) {
    return make(
        caller, parent, name, out, (folder, path) -> FileCalls.mkdirat(folder, path, mode & 07777));
  }

  private int make(Caller caller, long parent, Name name, Entry out, Change change) {
    Node folder = nodes.acquire(parent);
    if (folder == null) {
      return refusal(parent);
    }
    try {
      int refused = refuses(folder, name);
      if (refused < 0) {
        return refused;
      }
      // Before anything is made, since nothing is to be there after an error.
      if (!budget.take()) {
        return -Linux.ENFILE;
      }
      int made = as(caller, folder, name, change);
      if (made < 0) {
        budget.give();
        return made;
      }
      return find(folder, name, true, out);
    } finally {
      folder.release();
    }
  }

  private static int as(Caller caller, Node folder, Name name, Change change) {
    Worker worker = Worker.changing(false);
    worker.as(caller);
    try {
      return FileCalls.result(change.apply(folder.fd, name.address()));
    } finally {
      worker.asEngine();
    }
  }

  int unlink(long parent, Name name, int flags) {
    Node folder = nodes.acquire(parent);
    if (folder == null) {
      return refusal(parent);
    }
    try {
      int refused = refuses(folder, name);
      return refused < 0
          ? refused
          : FileCalls.result(FileCalls.unlinkat(folder.fd, name.address(), flags));
    } finally {
      folder.release();
    }
  }

  int rename(long parent, Name name, long newParent, Name newName, int flags) {
    if ((flags & ~RENAME_FLAGS) != 0) {
      return -Linux.EINVAL;
    }
    Node from = nodes.acquire(parent);
    if (from == null) {
      return refusal(parent);
    }
    try {
      Node to = nodes.acquire(newParent);
      if (to == null) {
        return refusal(newParent);
      }
      try {
        return rename(from, name, to, newName, flags);
      } finally {
        to.release();
      }
    } finally {
      from.release();
    }
  }

  private static int rename(Node from, Name name, Node to, Name newName, int flags) {
    if (from.share != to.share) {
      return -Linux.EXDEV;
    }
    int refused = name.isEmpty() ? -Linux.EINVAL : refuses(to, newName);
    if (refused < 0) {
      return refused;
    }
    return FileCalls.result(
        FileCalls.renameat2(from.fd, name.address(), to.fd, newName.address(), flags));
  }

  int link(long id, long newParent, Name newName, Entry out) {
    Node node = nodes.acquire(id);
    if (node == null) {
      return refusal(id);
    }
    try {
      Node folder = nodes.acquire(newParent);
      if (folder == null) {
        return refusal(newParent);
      }
      try {
        return link(node, folder, newName, out);
      } finally {
        folder.release();
      }
    } finally {
      node.release();
    }
  }

  private int link(Node node, Node folder, Name newName, Entry out) {
    if (node.share != folder.share) {
      return -Linux.EXDEV;
    }
    int refused = refuses(folder, newName);
    if (refused < 0) {
      return refused;
    }
    // The path leads to the node itself, also if that is a symbolic link or has lost its name.
    int linked =
        FileCalls.result(
            FileCalls.linkat(
                Worker.proc(),
                Worker.changing(false).inProc(node.fd),
                folder.fd,
                newName.address(),
                Linux.AT_SYMLINK_FOLLOW));
    return linked < 0 ? linked : find(folder, newName, false, out);
  }

  /** Why nothing may change under a node that is not there; the root folder never changes. */
  static int refusal(long id) {
    return id == SharedFileSystem.ROOT ? -Linux.EROFS : -Linux.ESTALE;
  }

  /** Why a name in a folder may not change, or 0. */
  static int refuses(Node folder, Name name) {
    if (name.isEmpty()) {
      return -Linux.EINVAL;
    }
    return folder.share.readOnly ? -Linux.EROFS : 0;
  }
}
