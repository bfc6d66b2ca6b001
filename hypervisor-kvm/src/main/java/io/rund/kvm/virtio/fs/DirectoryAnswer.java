package io.rund.kvm.virtio.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.kvm.fs.DirectorySink;
import io.rund.kvm.fs.SharedFileSystem;
import java.lang.foreign.MemorySegment;

/**
 * Fills an answer with entries of a folder: struct fuse_dirent, or fuse_direntplus, whose lookups
 * count for the guest as if it had asked. Reused; for one thread.
 */
final class DirectoryAnswer implements DirectorySink {
  private final FsScratch scratch;
  private SharedFileSystem fs;
  private long parent;
  private boolean plus;
  private long at;
  private long limit;

  DirectoryAnswer(FsScratch scratch) {
    this.scratch = scratch;
  }

  /**
   * Fills the answer.
   *
   * @param parent node of the folder
   * @param plus whether each entry comes with what a lookup tells
   * @param room bytes for entries
   * @return bytes of entries, 0 at the end of the folder; or a negative errno
   */
  long fill(SharedFileSystem fs, long parent, long handle, long cookie, boolean plus, long room) {
    this.fs = fs;
    this.parent = parent;
    this.plus = plus;
    at = Wire.OUT_HEADER;
    limit = Wire.OUT_HEADER + room;
    int result = fs.readDirectory(handle, cookie, this);
    long bytes = at - Wire.OUT_HEADER;
    // What was looked up must reach the guest, or it could never forget it.
    return result < 0 && bytes == 0 ? result : bytes;
  }

  @Override
  public boolean add(
      MemorySegment names, long offset, int length, long inode, int type, long nextCookie) {
    MemorySegment out = scratch.answer;
    long dirent = plus ? at + Wire.ENTRY_OUT : at;
    long end = align(dirent + Wire.DIRENT + length);
    if (end > limit) {
      return false;
    }
    if (plus) {
      lookUp(names, offset, length);
    }
    out.set(Wire.LONG, dirent, inode);
    out.set(Wire.LONG, dirent + 8, nextCookie);
    out.set(Wire.INT, dirent + 16, length);
    out.set(Wire.INT, dirent + 20, type);
    // The padding is inside this word, and must not tell what was there before.
    out.set(Wire.LONG, end - Long.BYTES, 0);
    MemorySegment.copy(names, offset, out, dirent + Wire.DIRENT, length);
    at = end;
    return true;
  }

  /** An entry without a node (".", "..", one that has gone) is one that was not looked up. */
  private void lookUp(MemorySegment names, long offset, int length) {
    boolean found =
        scratch.name.set(names, offset, offset + length + 1) > 0
            && fs.lookup(parent, scratch.name, scratch.entry) >= 0;
    if (found) {
      Answers.entry(scratch.answer, at, scratch.entry);
    } else {
      Answers.noEntry(scratch.answer, at, CachePolicy.NONE);
    }
  }

  private static long align(long offset) {
    return (offset + Wire.DIRENT_ALIGNMENT - 1) & -Wire.DIRENT_ALIGNMENT;
  }
}
