package io.rund.kvm.fs;

import io.rund.core.linux.Linux;
import java.util.concurrent.atomic.AtomicInteger;

/** A file of the host that the guest knows: an O_PATH descriptor and what it is called by. */
final class Node extends Descriptor {
  final long id;
  final MountedShare share;
  final long mount;
  final long device;
  final long inode;

  /** The type bits of its mode; an inode keeps them for life. */
  final int type;

  private final NodeBudget.Part budget;

  /** How often the guest has been given it and has not forgotten it; under the table's lock. */
  long lookups = 1;

  /** The next in the same bucket of the table. */
  Node next;

  /**
   * Handles of it through which the guest may have a shared writable mapping, and so data in memory
   * that the host does not know of. The guest's kernel writes such data out before it releases the
   * last of them (fs/fuse/file.c, fuse_vma_close).
   */
  final AtomicInteger mappable = new AtomicInteger();

  private long seenChange;
  private long seenSize = -1;

  Node(long id, MountedShare share, int fd, Attributes attributes, NodeBudget.Part budget) {
    super(fd);
    this.id = id;
    this.share = share;
    this.mount = attributes.mount();
    this.device = attributes.fileSystem();
    this.inode = attributes.inode();
    this.type = attributes.mode() & Linux.S_IFMT;
    this.budget = budget;
  }

  /** A file that is not there any more, as the guest has still to learn. */
  Node(long id, MountedShare share, int type, NodeBudget.Part budget) {
    super(-1);
    this.id = id;
    this.share = share;
    // Of no file, and in no bucket that many others are in.
    this.mount = -1;
    this.device = -1;
    this.inode = id;
    this.type = type;
    this.budget = budget;
  }

  /** Whether there is no file behind it. */
  boolean isLost() {
    return fd < 0;
  }

  /** Whether these are the attributes of its file. */
  boolean is(Attributes attributes) {
    return inode == attributes.inode()
        && mount == attributes.mount()
        && device == attributes.fileSystem();
  }

  /** Whether change time and size are as they were the last time; notes them. */
  synchronized boolean seenBefore(long change, long size, boolean settled) {
    boolean same = change == seenChange && size == seenSize;
    seenChange = change;
    seenSize = settled ? size : -1;
    return same;
  }

  @Override
  void closed() {
    budget.give();
  }
}
