package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A mount that is in no mount namespace: a copy of one that is, reached by a descriptor only, and
 * gone with the last copy of that descriptor, also when the process is killed. Mounts and unmounts
 * elsewhere do not change it.
 *
 * <p>No path walk through it follows a symbolic link or opens a device, for whoever walks: the
 * kernel sees to that (open_tree(2), mount_setattr(2)).
 *
 * @param fd an O_PATH descriptor of the mount's root
 */
public record DetachedMount(Fd fd) implements AutoCloseable {
  // include/uapi/linux/mount.h, include/uapi/linux/fcntl.h
  private static final long SYS_OPEN_TREE = 428;
  private static final long SYS_MOUNT_SETATTR = 442;
  private static final int OPEN_TREE_CLONE = 1;
  private static final int AT_EMPTY_PATH = 0x1000;
  private static final int AT_RECURSIVE = 0x8000;
  private static final int MOUNT_ATTR_RDONLY = 1;
  private static final int MOUNT_ATTR_NODEV = 4;
  private static final int MOUNT_ATTR_NOSYMFOLLOW = 0x200000;
  private static final int MS_PRIVATE = 1 << 18;

  /** Four 64-bit words: attr_set, attr_clr, propagation, userns_fd. */
  private static final int MOUNT_ATTR_SIZE = 32;

  /**
   * Copies the mount that a directory or file is on, from there downwards.
   *
   * @param path an O_PATH descriptor of the directory or file
   * @param recursive with what is mounted below
   * @param readOnly nothing in it can be changed through it, nor in what is mounted below
   */
  public static DetachedMount of(Fd path, boolean recursive, boolean readOnly)
      throws LastErrorException {
    int flags = OPEN_TREE_CLONE | Linux.O_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    DetachedMount mount;
    try (Arena arena = Arena.ofConfined()) {
      long empty = arena.allocateFrom("").address();
      mount =
          new DetachedMount(
              new Fd((int) Libc.syscall(SYS_OPEN_TREE, path.number(), empty, flags, 0, 0)));
    }
    try {
      int readOnlyAttribute = readOnly ? MOUNT_ATTR_RDONLY : 0;
      mount.set(MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW | readOnlyAttribute);
      return mount;
    } catch (RuntimeException e) {
      mount.close();
      throw e;
    }
  }

  /**
   * From now on nothing can be changed through it.
   *
   * @throws LastErrorException EBUSY while a file in it is open for writing
   */
  public void makeReadOnly() throws LastErrorException {
    set(MOUNT_ATTR_RDONLY);
  }

  private void set(long attributes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment change = arena.allocate(MOUNT_ATTR_SIZE, Long.BYTES);
      change.setAtIndex(ValueLayout.JAVA_LONG, 0, attributes);
      change.setAtIndex(ValueLayout.JAVA_LONG, 2, MS_PRIVATE);
      Libc.syscall(
          SYS_MOUNT_SETATTR,
          fd.number(),
          arena.allocateFrom("").address(),
          AT_EMPTY_PATH | AT_RECURSIVE,
          change.address(),
          MOUNT_ATTR_SIZE);
    }
  }

  /** Another descriptor of the same mount, which lives until both are closed. */
  public DetachedMount duplicate() throws LastErrorException {
    return new DetachedMount(fd.duplicate());
  }

  @Override
  public void close() {
    fd.close();
  }
}
