package io.rund.kvm.virtio.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.Attributes;
import io.rund.kvm.fs.Entry;
import io.rund.kvm.fs.FsStatistics;
import java.lang.foreign.MemorySegment;

/** Writes what the file system says in the wire's structures. Offsets are those of the answer. */
final class Answers {
  private Answers() {}

  /**
   * Seconds for which the guest believes a share that nobody else writes: a day, after which it
   * asks once more.
   */
  private static final long ALWAYS_SECONDS = 86_400;

  private static long seconds(CachePolicy policy) {
    return switch (policy) {
      case NONE -> 0;
      case AUTO -> 1;
      case ALWAYS -> ALWAYS_SECONDS;
    };
  }

  /** struct fuse_entry_out. */
  static void entry(MemorySegment out, long at, Entry entry) {
    Attributes attributes = entry.attributes();
    out.set(Wire.LONG, at, entry.node());
    out.set(Wire.LONG, at + 8, 0);
    out.set(Wire.LONG, at + 16, seconds(entry.nameCache()));
    out.set(Wire.LONG, at + 24, seconds(attributes.cache()));
    out.set(Wire.LONG, at + 32, 0);
    attributes(out, at + 40, attributes, entry.submount() ? Wire.ATTR_SUBMOUNT : 0);
  }

  /** struct fuse_entry_out for "there is none", which the guest may believe for so long. */
  static void noEntry(MemorySegment out, long at, CachePolicy policy) {
    out.asSlice(at, Wire.ENTRY_OUT).fill((byte) 0);
    out.set(Wire.LONG, at + 16, seconds(policy));
  }

  /** struct fuse_attr_out. */
  static void attributes(MemorySegment out, long at, Attributes attributes) {
    out.set(Wire.LONG, at, seconds(attributes.cache()));
    out.set(Wire.LONG, at + 8, 0);
    attributes(out, at + 16, attributes, 0);
  }

  /** struct fuse_attr. */
  private static void attributes(MemorySegment out, long at, Attributes a, int flags) {
    out.set(Wire.LONG, at, a.inode());
    out.set(Wire.LONG, at + 8, a.size());
    out.set(Wire.LONG, at + 16, a.blocks());
    out.set(Wire.LONG, at + 24, a.accessSeconds());
    out.set(Wire.LONG, at + 32, a.modifySeconds());
    out.set(Wire.LONG, at + 40, a.changeSeconds());
    out.set(Wire.INT, at + 48, a.accessNanos());
    out.set(Wire.INT, at + 52, a.modifyNanos());
    out.set(Wire.INT, at + 56, a.changeNanos());
    out.set(Wire.INT, at + 60, a.mode());
    out.set(Wire.INT, at + 64, a.links());
    out.set(Wire.INT, at + 68, a.uid());
    out.set(Wire.INT, at + 72, a.gid());
    out.set(Wire.INT, at + 76, a.device());
    out.set(Wire.INT, at + 80, a.blockSize());
    out.set(Wire.INT, at + 84, flags);
  }

  /** struct fuse_statx_out. Device numbers of the host's file systems stay on the host. */
  static void statx(MemorySegment out, long at, Attributes a) {
    out.asSlice(at, Wire.STATX_OUT).fill((byte) 0);
    out.set(Wire.LONG, at, seconds(a.cache()));
    long stat = at + 32;
    out.set(Wire.INT, stat, Linux.STATX_BASIC_STATS | (a.hasBirth() ? Linux.STATX_BTIME : 0));
    out.set(Wire.INT, stat + 4, a.blockSize());
    out.set(Wire.INT, stat + 16, a.links());
    out.set(Wire.INT, stat + 20, a.uid());
    out.set(Wire.INT, stat + 24, a.gid());
    out.set(Wire.SHORT, stat + 28, (short) a.mode());
    out.set(Wire.LONG, stat + 32, a.inode());
    out.set(Wire.LONG, stat + 40, a.size());
    out.set(Wire.LONG, stat + 48, a.blocks());
    out.set(Wire.LONG, stat + 64, a.accessSeconds());
    out.set(Wire.INT, stat + 72, a.accessNanos());
    out.set(Wire.LONG, stat + 80, a.birthSeconds());
    out.set(Wire.INT, stat + 88, a.birthNanos());
    out.set(Wire.LONG, stat + 96, a.changeSeconds());
    out.set(Wire.INT, stat + 104, a.changeNanos());
    out.set(Wire.LONG, stat + 112, a.modifySeconds());
    out.set(Wire.INT, stat + 120, a.modifyNanos());
    int device = a.device();
    out.set(Wire.INT, stat + 128, (device >>> 8) & 0xfff);
    out.set(Wire.INT, stat + 132, (device & 0xff) | ((device >>> 12) & 0xfff00));
  }

  /** struct fuse_open_out. */
  static void open(MemorySegment out, long at, long handle, int flags) {
    out.set(Wire.LONG, at, handle);
    out.set(Wire.INT, at + 8, flags);
    out.set(Wire.INT, at + 12, 0);
  }

  /** struct fuse_write_out. */
  static void written(MemorySegment out, long at, long bytes) {
    out.set(Wire.INT, at, (int) bytes);
    out.set(Wire.INT, at + 4, 0);
  }

  /** struct fuse_kstatfs. */
  static void statistics(MemorySegment out, long at, FsStatistics s) {
    out.asSlice(at, Wire.STATFS_OUT).fill((byte) 0);
    out.set(Wire.LONG, at, s.blocks());
    out.set(Wire.LONG, at + 8, s.freeBlocks());
    out.set(Wire.LONG, at + 16, s.availableBlocks());
    out.set(Wire.LONG, at + 24, s.files());
    out.set(Wire.LONG, at + 32, s.freeFiles());
    out.set(Wire.INT, at + 40, (int) s.blockSize());
    out.set(Wire.INT, at + 44, s.nameLength());
    out.set(Wire.INT, at + 48, (int) s.fragmentSize());
  }
}
