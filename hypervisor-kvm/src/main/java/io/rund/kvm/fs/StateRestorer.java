package io.rund.kvm.fs;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.FsState.Kind;
import io.rund.kvm.fs.FsState.KnownFile;
import io.rund.kvm.fs.FsState.OpenHandle;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Opens what a guest knew elsewhere, each under its old id. What is not there any more is lost: a
 * node or handle of which nothing is left but the id. Used once, by one thread.
 */
final class StateRestorer {
  private final ShareTable shareTable;
  private final NodeTable nodeTable;
  private final HandleTable handleTable;
  private final NodeBudget.Part budget;
  private final FolderBuffers buffers;
  private final ProcPath proc = new ProcPath();
  private final Attributes attributes = new Attributes();
  private final List<SharePaths> shares = new ArrayList<>();
  private final Map<Long, Node> nodes = new LinkedHashMap<>();
  private final List<Handle> handles = new ArrayList<>();

  StateRestorer(
      ShareTable shareTable,
      NodeTable nodeTable,
      HandleTable handleTable,
      NodeBudget.Part budget,
      FolderBuffers buffers) {
    this.shareTable = shareTable;
    this.nodeTable = nodeTable;
    this.handleTable = handleTable;
    this.budget = budget;
    this.buffers = buffers;
  }

  void restore(FsState state) {
    boolean done = false;
    try {
      // Before the tables make room for them.
      if (Math.max(state.fileIds().places(), state.handleIds().places()) > budget.capacity()) {
        throw exhausted();
      }
      state.shares().forEach(name -> shares.add(new SharePaths(share(name))));
      state.files().forEach(file -> nodes.put(file.id(), node(file)));
      state.handles().forEach(handle -> handles.add(handle(handle)));
      nodeTable.restore(state.fileIds(), nodes.values());
      handleTable.restore(state.handleIds(), handles);
      done = true;
    } finally {
      if (!done) {
        handles.forEach(Handle::release);
        nodes.values().forEach(Node::release);
      }
      shares.forEach(paths -> paths.share.release());
    }
  }

  private static RundException exhausted() {
    return new RundException(
        ErrorCode.RESOURCE_EXHAUSTED,
        "the guest knows more files of its shares than the engine can open now");
  }

  private MountedShare share(String name) {
    MountedShare share = shareTable.acquire(name);
    if (share == null) {
      throw RundException.precondition("the guest knows a share that is not here: " + name);
    }
    return share;
  }

  /** Counts one more descriptor. */
  private void take() {
    if (!budget.take()) {
      throw exhausted();
    }
  }

  /** The result of opening what is counted; negative if it is lost. */
  private int opened(int fd) {
    if (fd == -Linux.EMFILE || fd == -Linux.ENFILE || fd == -Linux.ENOMEM) {
      budget.give();
      throw exhausted();
    }
    return fd;
  }

  private Node node(KnownFile file) {
    SharePaths share = shares.get(file.share());
    take();
    int fd = opened(file.path().map(path -> open(share, path, file.type())).orElse(-Linux.ENOENT));
    Node node =
        fd < 0
            ? new Node(file.id(), share.share, file.type(), budget)
            : new Node(file.id(), share.share, fd, attributes, budget);
    node.lookups = file.lookups();
    return node;
  }

  private int open(SharePaths share, SharePath path, int type) {
    int fd = share.open(path);
    if (fd < 0) {
      return fd;
    }
    int refused = Worker.attributes(fd, attributes);
    if (refused == 0 && (attributes.mode() & Linux.S_IFMT) != type) {
      refused = -Linux.ESTALE;
    }
    if (refused == 0 && (path.isRoot() || share.isElsewhere(attributes))) {
      refused = NodeTable.refusesMount(fd);
    }
    if (refused < 0) {
      int _ = FileCalls.close(fd);
      return refused;
    }
    return fd;
  }

  private Handle handle(OpenHandle handle) {
    take();
    if (handle.kind() == Kind.SHARES) {
      return new OpenFolder(handle.id(), null, -1, budget, buffers);
    }
    Node node = nodes.get(handle.file());
    int fd = opened(reopen(node, handle));
    if (fd < 0) {
      return new LostHandle(handle.id(), budget);
    }
    return handle.kind() == Kind.FOLDER
        ? new OpenFolder(handle.id(), node, fd, budget, buffers)
        : new OpenFile(handle.id(), node, fd, handle.flags(), budget);
  }

  private int reopen(Node node, OpenHandle handle) {
    if (node == null || node.isLost()) {
      return -Linux.ESTALE;
    }
    int refused = OpenFiles.refusesFlags(node.share, handle.flags());
    int flags = handle.kind() == Kind.FOLDER ? Linux.O_DIRECTORY : handle.flags();
    return refused < 0 ? refused : proc.reopen(node.fd, flags);
  }
}
