package io.rund.kvm.virtio.fs;

import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Numbers of the FUSE protocol (include/uapi/linux/fuse.h of Linux 6.12), all little endian. */
final class Wire {
  private Wire() {}

  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Sizes of structures in bytes. */
  static final int IN_HEADER = 40;

  static final int OUT_HEADER = 16;
  static final int ATTR = 88;
  static final int ATTR_OUT = 16 + ATTR;
  static final int ENTRY_OUT = 40 + ATTR;
  static final int OPEN_OUT = 16;
  static final int WRITE_OUT = 8;
  static final int STATFS_OUT = 80;
  static final int GETXATTR_OUT = 8;
  static final int LSEEK_OUT = 8;
  static final int INIT_OUT = 64;
  static final int STATX_OUT = 288;

  /** struct fuse_setxattr_in since 7.33, if that was negotiated. */
  static final int SETXATTR_IN = 16;

  /** struct fuse_dirent without the name, and what it is rounded up to. */
  static final int DIRENT = 24;

  static final int DIRENT_ALIGNMENT = 8;

  /** struct fuse_forget_one. */
  static final int FORGET_ONE = 16;

  static final int MAJOR = 7;

  /** Virtio-fs appeared in Linux 5.4, which speaks 7.31. */
  static final int MIN_MINOR = 31;

  /**
   * What is spoken here: 7.39 brought statx and shared mappings of files without a cache; later
   * minors only what is not served (passthrough, resending, mapped ids).
   */
  static final int MINOR = 39;

  // Bits of fuse_init_in.flags and, from 32 on, flags2.
  static final long ASYNC_READ = 1L;
  static final long ATOMIC_O_TRUNC = 1L << 3;
  static final long BIG_WRITES = 1L << 5;
  static final long DONT_MASK = 1L << 6;
  static final long AUTO_INVAL_DATA = 1L << 12;
  static final long DO_READDIRPLUS = 1L << 13;
  static final long READDIRPLUS_AUTO = 1L << 14;
  static final long ASYNC_DIO = 1L << 15;
  static final long PARALLEL_DIROPS = 1L << 18;
  static final long POSIX_ACL = 1L << 20;
  static final long MAX_PAGES = 1L << 22;
  static final long CACHE_SYMLINKS = 1L << 23;
  static final long SUBMOUNTS = 1L << 27;
  static final long HANDLE_KILLPRIV_V2 = 1L << 28;
  static final long SETXATTR_EXT = 1L << 29;
  static final long INIT_EXT = 1L << 30;
  static final long DIRECT_IO_ALLOW_MMAP = 1L << 36;

  static final int FATTR_MODE = 1;
  static final int FATTR_UID = 1 << 1;
  static final int FATTR_GID = 1 << 2;
  static final int FATTR_SIZE = 1 << 3;
  static final int FATTR_ATIME = 1 << 4;
  static final int FATTR_MTIME = 1 << 5;
  static final int FATTR_FH = 1 << 6;
  static final int FATTR_ATIME_NOW = 1 << 7;
  static final int FATTR_MTIME_NOW = 1 << 8;
  static final int FATTR_KILL_SUIDGID = 1 << 11;

  static final int FOPEN_DIRECT_IO = 1;
  static final int FOPEN_KEEP_CACHE = 1 << 1;
  static final int FOPEN_CACHE_DIR = 1 << 3;
  static final int FOPEN_NOFLUSH = 1 << 5;
  static final int FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6;

  static final int OPEN_KILL_SUIDGID = 1;
  static final int FSYNC_FDATASYNC = 1;
  static final int WRITE_CACHE = 1;
  static final int WRITE_KILL_SUIDGID = 1 << 2;
  static final int SETXATTR_ACL_KILL_SGID = 1;
  static final int ATTR_SUBMOUNT = 1;
}
