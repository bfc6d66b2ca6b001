package io.rund.kvm.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;

/** A share that is in the table: its root, and whether it is still there. */
final class MountedShare extends Descriptor {
  final String name;

  /** Its place in the listing of the root folder; shares that are added later come later. */
  final long cookie;

  final long inode;
  final int type;
  final boolean readOnly;
  final CachePolicy cache;

  /** Set before its nodes and handles are swept; whoever adds one asks, under the table's lock. */
  volatile boolean removed;

  /** Takes {@code fd} over. */
  MountedShare(
      int fd, Attributes root, String name, long cookie, boolean readOnly, CachePolicy cache) {
    super(fd);
    this.name = name;
    this.cookie = cookie;
    this.inode = root.inode();
    this.type = root.mode() & Linux.S_IFMT;
    this.readOnly = readOnly;
    this.cache = cache;
  }

  @Override
  void closed() {}
}
