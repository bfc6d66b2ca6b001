package io.rund.kvm.fs;

import io.rund.core.linux.Linux;

/** An open regular file. */
final class OpenFile extends Handle {
  /** What the guest's open(2) said that still matters: {@link OpenFiles#KEPT_FLAGS}. */
  final int flags;

  /** Whether the host's page cache is gone around. */
  final boolean direct;

  /** Whether the guest may map it shared and write to that. */
  private final boolean mappable;

  /**
   * @param flags of the guest's open(2)
   */
  OpenFile(long id, Node node, int fd, int flags, NodeBudget.Part budget) {
    super(id, node, fd, budget);
    this.flags = flags & OpenFiles.KEPT_FLAGS;
    this.direct = (flags & Linux.O_DIRECT) != 0;
    this.mappable = (flags & Linux.O_ACCMODE) == Linux.O_RDWR;
    if (mappable) {
      node.mappable.incrementAndGet();
    }
  }

  @Override
  void closed() {
    if (mappable) {
      node.mappable.decrementAndGet();
    }
    super.closed();
  }
}
