package io.rund.kvm.fs;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.lang.foreign.MemorySegment;

/**
 * What the guest of one sandbox sees of the host: a read-only root folder, {@link #ROOT}, whose
 * entries are the sandbox's shares. Operations work as system calls of a process of the host would.
 *
 * <p>Operations return 0 or more on success and a negative errno on failure; they do not throw for
 * anything a guest or a disk may do. They block for as long as the host's file system does, and are
 * called by threads of {@link WorkerCredentials#prepareThread}, any number at once. Node ids and
 * handles are checked: one that is not or no longer valid gives -ESTALE (node) or -EBADF (handle).
 * Where an operation fills an {@link Entry}, the guest holds that node once more.
 */
public final class SharedFileSystem implements AutoCloseable {
  /** Node of the folder of shares. Is always there; forgetting it does nothing. */
  public static final long ROOT = 1;

  /** For operations on a node that may be given an open handle: none is. */
  public static final long NO_HANDLE = -1;

  private final NodeBudget.Part budget;
  private final ShareTable shares;
  private final NodeTable nodes;
  private final HandleTable handles;
  private final Names names;
  private final Inodes inodes;
  private final OpenFiles files;
  private final FileIo io;
  private final Folders folders;
  private final FolderBuffers buffers = new FolderBuffers();
  private final Xattrs xattrs;

  /** In seconds since the epoch. */
  private final long created = System.currentTimeMillis() / 1000;

  /** {@code budget} is shared by all sandboxes of the engine. */
  public SharedFileSystem(String sandboxId, NodeBudget budget) {
    NodeBudget.Part part = budget.part();
    this.budget = part;
    shares = new ShareTable(sandboxId);
    nodes = new NodeTable(part);
    handles = new HandleTable(part);
    names = new Names(shares, nodes, part);
    inodes = new Inodes(nodes, handles);
    files = new OpenFiles(names, nodes, handles, part);
    io = new FileIo(handles);
    folders = new Folders(shares, nodes, handles, part, buffers);
    xattrs = new Xattrs(nodes);
  }

  /**
   * Adds a share; the guest finds it at its next look. Owns the share's descriptor from now on,
   * also if this throws.
   *
   * @throws RundException ALREADY_EXISTS if there is one of that name, INVALID_ARGUMENT if it is
   *     neither a folder nor a regular file
   */
  public void add(Share share) {
    shares.add(share);
  }

  /**
   * Removes a share, if it is there. Every descriptor that was opened through it is closed: at
   * once, or by the call that uses it at the moment. Whatever the guest still tries there gives
   * -ESTALE or -EBADF.
   */
  public void remove(String name) {
    MountedShare share = shares.remove(name);
    if (share != null) {
      nodes.sweep(share);
      handles.sweep(share);
      share.release();
    }
  }

  /**
   * What the guest knows, while no operation is under way and no share comes or goes: a readlink(2)
   * for each node. Any thread.
   */
  public FsState state() {
    return new StateSaver(StateSaver.MOST_PATHS).save(shares, nodes, handles);
  }

  /**
   * Lets a guest go on that knew another file system. To be called when the shares that it knew
   * have been added, before the first operation, while no share comes or goes; any thread. Opens
   * everything as it was open, by its path: nodes and handles of what is not there, or is of
   * another type, give -ESTALE and -EBADF from now on.
   *
   * @throws RundException FAILED_PRECONDITION if a share is missing, RESOURCE_EXHAUSTED if these
   *     are more files than the guest may have or the engine can open; then nothing is open
   */
  public void restore(FsState state) {
    new StateRestorer(shares, nodes, handles, budget, buffers).restore(state);
  }

  /** Finds {@code name} in a folder. A symbolic link is a node of its own, never followed. */
  public int lookup(long parent, Name name, Entry out) {
    return names.lookup(parent, name, out);
  }

  /**
   * Gives back {@code count} of the times that the guest was given this node. Unknown ids are
   * ignored.
   */
  public void forget(long node, long count) {
    nodes.forget(node, count);
  }

  /**
   * Closes every node but {@link #ROOT} and every handle that the guest has: it has unmounted, or
   * was reset. Shares stay. Operations that are under way end as after {@link #remove}.
   */
  public void forgetAll() {
    nodes.clear();
    handles.clear();
  }

  public int getAttributes(long node, Attributes out) {
    if (node == ROOT) {
      out.setFolder(ROOT, 2 + shares.count(), created);
      return 0;
    }
    return inodes.attributes(node, out);
  }

  /**
   * Changes attributes; {@code handle} is an open handle of the node for a change of size, or
   * {@link #NO_HANDLE}.
   */
  public int setAttributes(long node, long handle, AttributeChange change, Attributes out) {
    return inodes.change(node, handle, change, out);
  }

  /**
   * How long the guest may believe what it has read of this node; NONE if there is no such node.
   */
  public CachePolicy cachePolicy(long node) {
    return inodes.cachePolicy(node);
  }

  /** Reads the target of a symbolic link, without terminator. Returns its length. */
  public int readLink(long node, MemorySegment out) {
    return inodes.readLink(node, out);
  }

  public int symlink(Caller caller, long parent, Name name, Text target, Entry out) {
    return names.symlink(caller, parent, name, target, out);
  }

  /**
   * Makes a file, FIFO, socket or device node. {@code mode} has the type bits; {@code device} is in
   * the encoding of {@link Attributes#device}.
   */
  public int makeNode(Caller caller, long parent, Name name, int mode, int device, Entry out) {
    return names.makeNode(caller, parent, name, mode, device, out);
  }

  public int makeDirectory(Caller caller, long parent, Name name, int mode, Entry out) {
    return names.makeDirectory(caller, parent, name, mode, out);
  }

  public int unlink(long parent, Name name) {
    return names.unlink(parent, name, 0);
  }

  public int removeDirectory(long parent, Name name) {
    return names.unlink(parent, name, Linux.AT_REMOVEDIR);
  }

  /** As renameat2(2), with RENAME_NOREPLACE and RENAME_EXCHANGE; other flags give -EINVAL. */
  public int rename(long parent, Name name, long newParent, Name newName, int flags) {
    return names.rename(parent, name, newParent, newName, flags);
  }

  public int link(long node, long newParent, Name newName, Entry out) {
    return names.link(node, newParent, newName, out);
  }

  /**
   * Opens a regular file. Of {@code flags}, those of open(2), the access mode, O_TRUNC, O_DIRECT
   * and O_NOATIME count. Device nodes, FIFOs and sockets give -ENXIO: they are the guest kernel's
   * own.
   *
   * @return the handle, 0 or more
   */
  public long open(long node, int flags, boolean killSuidGid) {
    return files.open(node, flags, killSuidGid);
  }

  /**
   * Whether the contents of an open file are what they were when this was last asked for the same
   * file, by any handle: then what the guest has cached of it still holds. False the first time.
   */
  public boolean unchanged(long handle) {
    return io.unchanged(handle);
  }

  /**
   * Makes and opens a regular file. If there is one already and {@code flags} lack O_EXCL, opens
   * that.
   *
   * @return the handle, 0 or more
   */
  public long create(Caller caller, long parent, Name name, int mode, int flags, Entry out) {
    return files.create(caller, parent, name, mode, flags, out);
  }

  /**
   * Makes and opens a file that has no name (O_TMPFILE).
   *
   * @return the handle, 0 or more
   */
  public long temporaryFile(Caller caller, long parent, int mode, int flags, Entry out) {
    return files.temporary(caller, parent, mode, flags, out);
  }

  /**
   * Reads until {@code to} is full or the file ends. Returns the bytes read, fewer if an error came
   * after them.
   */
  public long read(long handle, IoVector to, long offset) {
    return io.read(handle, to, offset);
  }

  /**
   * Writes all of {@code from}. Returns the bytes written, fewer if an error came after them.
   *
   * @param flags O_APPEND, O_DSYNC and O_SYNC of open(2), as they hold for this write
   * @param cached whether this is the guest's page cache writing back: at its offset, no matter
   *     what
   * @param killSuidGid whether the writer has no CAP_FSETID: setuid and setgid go
   */
  public long write(
      long handle, IoVector from, long offset, int flags, boolean cached, boolean killSuidGid) {
    return io.write(handle, from, offset, flags, cached, killSuidGid);
  }

  /** What a close(2) in the guest means: reports errors that the host's file system kept for it. */
  public int flush(long handle) {
    return io.flush(handle);
  }

  /** Closes a handle of a file or a folder. */
  public int release(long handle) {
    return handles.remove(handle);
  }

  /** For files and folders. */
  public int fsync(long handle, boolean dataOnly) {
    return io.sync(handle, dataOnly);
  }

  /** Writes out the file system that the node is on; for {@link #ROOT}, of every share. */
  public int syncFs(long node) {
    return node == ROOT ? syncShares() : inodes.sync(node);
  }

  private int syncShares() {
    int result = 0;
    for (MountedShare share : shares.all()) {
      if (share.acquire()) {
        int one = Inodes.sync(share);
        share.release();
        result = one < 0 ? one : result;
      }
    }
    return result;
  }

  /**
   * As fallocate(2).
   *
   * @param killSuidGid whether the caller has no CAP_FSETID: setuid and setgid go
   */
  public int fallocate(long handle, int mode, long offset, long length, boolean killSuidGid) {
    return io.allocate(handle, mode, offset, length, killSuidGid);
  }

  public long seek(long handle, long offset, int whence) {
    return io.seek(handle, offset, whence);
  }

  public long copyRange(
      long from,
      long fromOffset,
      long to,
      long toOffset,
      long length,
      int flags,
      boolean killSuidGid) {
    return io.copy(from, fromOffset, to, toOffset, length, flags, killSuidGid);
  }

  public int statFs(long node, FsStatistics out) {
    if (node == ROOT) {
      out.setEmpty();
      return 0;
    }
    return inodes.statFs(node, out);
  }

  public long openDirectory(long node) {
    return folders.open(node);
  }

  /**
   * Hands entries to {@code sink}, from {@code cookie} on, until it takes no more or there are
   * none. 0 is the beginning; others come from the sink.
   */
  public int readDirectory(long handle, long cookie, DirectorySink sink) {
    return folders.read(handle, cookie, sink);
  }

  /**
   * {@code killSgid}: the caller has neither the file's group nor CAP_FSETID, so a new ACL clears
   * setgid.
   */
  public int setXattr(long node, Text name, MemorySegment value, int flags, boolean killSgid) {
    return xattrs.set(node, name, value, flags, killSgid);
  }

  /** Returns the length of the value; only asks for it if {@code out} has no bytes. */
  public int getXattr(long node, Text name, MemorySegment out) {
    return xattrs.get(node, name, out);
  }

  /**
   * Zero-terminated names, one after the other. Returns their length; only asks for it if {@code
   * out} has no bytes.
   */
  public int listXattr(long node, MemorySegment out) {
    return xattrs.list(node, out);
  }

  public int removeXattr(long node, Text name) {
    return xattrs.remove(node, name);
  }

  /** Removes every share. No operation may start after this. */
  @Override
  public void close() {
    for (String name = shares.close(); name != null; name = shares.close()) {
      remove(name);
    }
    handles.sweep(null);
  }
}
