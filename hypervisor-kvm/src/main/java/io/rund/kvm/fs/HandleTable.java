package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** What the guest has open. Every handle counts in the budget. Thread-safe. */
final class HandleTable {
  private final NodeBudget.Part budget;
  private final SlotTable<Handle> slots;
  private boolean closed;

  HandleTable(NodeBudget.Part budget) {
    this.budget = budget;
    slots = new SlotTable<>(budget.capacity(), handle -> handle.id);
  }

  /** The open file or folder, which the caller must release, or null. */
  Handle acquire(long id) {
    Handle handle = slots.get(id);
    return handle != null && !(handle instanceof LostHandle) && handle.acquire() ? handle : null;
  }

  /** The open file, which the caller must release, or null. */
  OpenFile acquireFile(long id) {
    return slots.get(id) instanceof OpenFile file && file.acquire() ? file : null;
  }

  /** The open folder, which the caller must release, or null. */
  OpenFolder acquireFolder(long id) {
    return slots.get(id) instanceof OpenFolder folder && folder.acquire() ? folder : null;
  }

  /**
   * Takes over a descriptor that the budget counts, and that was opened with {@code flags}; returns
   * the handle or a negative errno.
   */
  long addFile(Node node, int fd, int flags) {
    synchronized (this) {
      if (!node.share.removed) {
        OpenFile file = new OpenFile(slots.nextId(), node, fd, flags, budget);
        slots.put(file);
        return file.id;
      }
    }
    return refuse(fd);
  }

  /** As {@link #addFile}; {@code node} is null and {@code fd} -1 for the folder of shares. */
  long addFolder(Node node, int fd, FolderBuffers buffers) {
    synchronized (this) {
      if (node == null ? !closed : !node.share.removed) {
        OpenFolder folder = new OpenFolder(slots.nextId(), node, fd, budget, buffers);
        slots.put(folder);
        return folder.id;
      }
    }
    return refuse(fd);
  }

  private long refuse(int fd) {
    if (fd >= 0) {
      int ignored = FileCalls.close(fd);
    }
    budget.give();
    return -Linux.ESTALE;
  }

  /** Calls {@code visitor} for each handle, none of which is closed meanwhile. */
  synchronized void each(Consumer<Handle> visitor) {
    slots.each(visitor);
  }

  synchronized SlotTable.Ids ids() {
    return slots.ids();
  }

  /** Fills the empty table; every handle must count in the budget. */
  synchronized void restore(SlotTable.Ids ids, Collection<Handle> saved) {
    slots.restore(ids, saved);
  }

  int remove(long id) {
    Handle handle;
    synchronized (this) {
      handle = slots.get(id);
      if (handle == null) {
        return -Linux.EBADF;
      }
      slots.remove(handle);
    }
    handle.release();
    return 0;
  }

  /** Takes out every handle of a share that is marked as removed; null: of the folder of shares. */
  void sweep(MountedShare share) {
    synchronized (this) {
      closed |= share == null;
    }
    sweep(handle -> handle.share() == share);
  }

  /** Takes out every handle. */
  void clear() {
    sweep(_ -> true);
  }

  private void sweep(Predicate<Handle> which) {
    List<Handle> gone = new ArrayList<>();
    synchronized (this) {
      for (int i = 0; i < slots.places(); i++) {
        Handle handle = slots.at(i);
        if (handle != null && which.test(handle)) {
          slots.remove(handle);
          gone.add(handle);
        }
      }
    }
    gone.forEach(Handle::release);
  }
}
