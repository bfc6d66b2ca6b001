package io.rund.kvm.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What the host says of a file: a view of struct statx (include/uapi/linux/stat.h). Reused; for one
 * thread.
 */
public final class Attributes {
  static final int SIZE = 256;

  private final MemorySegment statx = Arena.ofAuto().allocate(SIZE, Long.BYTES);
  private CachePolicy cache = CachePolicy.NONE;

  public int blockSize() {
    return statx.get(ValueLayout.JAVA_INT, 4);
  }

  public int links() {
    return statx.get(ValueLayout.JAVA_INT, 16);
  }

  public int uid() {
    return statx.get(ValueLayout.JAVA_INT, 20);
  }

  public int gid() {
    return statx.get(ValueLayout.JAVA_INT, 24);
  }

  /** Type and permissions: st_mode. */
  public int mode() {
    return Short.toUnsignedInt(statx.get(ValueLayout.JAVA_SHORT, 28));
  }

  public long inode() {
    return statx.get(ValueLayout.JAVA_LONG, 32);
  }

  /** In bytes. */
  public long size() {
    return statx.get(ValueLayout.JAVA_LONG, 40);
  }

  /** In units of 512 bytes. */
  public long blocks() {
    return statx.get(ValueLayout.JAVA_LONG, 48);
  }

  /** Last access, in seconds since the epoch. */
  public long accessSeconds() {
    return statx.get(ValueLayout.JAVA_LONG, 64);
  }

  public int accessNanos() {
    return statx.get(ValueLayout.JAVA_INT, 72);
  }

  /** Whether the file system knows when the file was made. */
  public boolean hasBirth() {
    return (statx.get(ValueLayout.JAVA_INT, 0) & Linux.STATX_BTIME) != 0;
  }

  /** When the file was made, in seconds since the epoch. */
  public long birthSeconds() {
    return statx.get(ValueLayout.JAVA_LONG, 80);
  }

  public int birthNanos() {
    return statx.get(ValueLayout.JAVA_INT, 88);
  }

  /** Last change of the attributes, in seconds since the epoch. */
  public long changeSeconds() {
    return statx.get(ValueLayout.JAVA_LONG, 96);
  }

  public int changeNanos() {
    return statx.get(ValueLayout.JAVA_INT, 104);
  }

  /** Last change of the contents, in seconds since the epoch. */
  public long modifySeconds() {
    return statx.get(ValueLayout.JAVA_LONG, 112);
  }

  public int modifyNanos() {
    return statx.get(ValueLayout.JAVA_INT, 120);
  }

  /** Device that a device node stands for, in the encoding of the kernel's new_encode_dev. */
  public int device() {
    int major = statx.get(ValueLayout.JAVA_INT, 128);
    int minor = statx.get(ValueLayout.JAVA_INT, 132);
    return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  }

  /** How long the guest may believe this. */
  public CachePolicy cache() {
    return cache;
  }

  void setCache(CachePolicy policy) {
    cache = policy;
  }

  /** Id of the mount that the file was reached through. */
  long mount() {
    return statx.get(ValueLayout.JAVA_LONG, 144);
  }

  /** The file system's device: st_dev. */
  long fileSystem() {
    return statx.get(ValueLayout.JAVA_LONG, 136);
  }

  /** Makes this the attributes of a folder of root's that nobody may write. */
  void setFolder(long inode, int links, long seconds) {
    statx.fill((byte) 0);
    statx.set(ValueLayout.JAVA_INT, 4, 4096);
    statx.set(ValueLayout.JAVA_INT, 16, links);
    statx.set(ValueLayout.JAVA_SHORT, 28, (short) (Linux.S_IFDIR | 0555));
    statx.set(ValueLayout.JAVA_LONG, 32, inode);
    statx.set(ValueLayout.JAVA_LONG, 64, seconds);
    statx.set(ValueLayout.JAVA_LONG, 96, seconds);
    statx.set(ValueLayout.JAVA_LONG, 112, seconds);
    cache = CachePolicy.NONE;
  }

  /** Where statx(2) writes. */
  long address() {
    return statx.address();
  }
}
