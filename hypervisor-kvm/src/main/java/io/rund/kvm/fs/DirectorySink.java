package io.rund.kvm.fs;

import java.lang.foreign.MemorySegment;

/** Takes the entries of a folder, one by one. */
@FunctionalInterface
public interface DirectorySink {
  /**
   * Takes an entry, "." and ".." among them. May look names up in the file system; must not read
   * folders.
   *
   * @param names where the name is: {@code length} bytes from {@code offset} on and a terminator;
   *     only until this returns
   * @param type of the file, DT_* of readdir(3): the type bits of its mode, shifted right by 12
   * @param nextCookie where to go on after this entry
   * @return false if it does not fit: it has not been taken, and no further ones are given
   */
  boolean add(MemorySegment names, long offset, int length, long inode, int type, long nextCookie);
}
