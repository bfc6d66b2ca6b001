package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What a thread needs for system calls on nodes: memory for their arguments, and its identity
 * towards the host's kernel. Belongs to one thread.
 */
final class Worker {
  private static final ThreadLocal<Worker> CURRENT = new ThreadLocal<>();

  /** The empty path, for AT_EMPTY_PATH. */
  static final MemorySegment EMPTY = Arena.global().allocate(1);

  /** The path of a folder in itself, for O_TMPFILE. */
  static final MemorySegment DOT = Arena.global().allocateFrom(".");

  private final ProcPath path = new ProcPath();
  private final MemorySegment times = Arena.ofAuto().allocate(32, Long.BYTES);
  private final MemorySegment entries = Arena.ofAuto().allocate(FolderBuffers.SIZE, Long.BYTES);
  private final Attributes attributes = new Attributes();
  private final Identity identity;

  private Worker(Identity identity) {
    this.identity = identity;
  }

  /** The calling thread's own. */
  static Worker current() {
    Worker worker = CURRENT.get();
    if (worker == null) {
      throw new IllegalStateException("not a thread of WorkerCredentials.prepareThread");
    }
    return worker;
  }

  /** As {@link #current}, for an operation that changes files. */
  static Worker changing(boolean killSuidGid) {
    Worker worker = current();
    worker.identity.keepSetIds(!killSuidGid);
    return worker;
  }

  static void prepare() {
    if (CURRENT.get() == null) {
      CURRENT.set(new Worker(Identity.ofThread()));
    }
  }

  /** From now on, what is made belongs to the caller. To be followed by {@link #asEngine}. */
  void as(Caller caller) {
    identity.become(caller.uid(), caller.gid());
    identity.umask(caller.umask());
  }

  void asEngine() {
    identity.become(0, 0);
  }

  /** Folder for {@link #inProc}. */
  static int proc() {
    return ProcPath.folder();
  }

  /** Path of a descriptor, relative to {@link #proc}; until the next call. */
  long inProc(int fd) {
    return path.in(fd);
  }

  /**
   * Absolute path of a descriptor; until the next call. It leads to the file itself, even a link.
   */
  long absolute(int fd) {
    return path.absolute(fd);
  }

  /** Opens the file behind a descriptor; {@code flags} decide what it is opened for. */
  int reopen(int fd, int flags) {
    return path.reopen(fd, flags);
  }

  /** Reads the attributes of an open file; returns 0 or a negative errno. */
  static int attributes(int fd, Attributes out) {
    return FileCalls.result(
        FileCalls.statx(
            fd,
            EMPTY.address(),
            Linux.AT_EMPTY_PATH | Linux.AT_SYMLINK_NOFOLLOW,
            Linux.STATX_BASIC_STATS | Linux.STATX_BTIME | Linux.STATX_MNT_ID,
            out.address()));
  }

  /** Two times as struct timespec: access, modification. */
  long times(AttributeChange change) {
    times.set(ValueLayout.JAVA_LONG, 0, change.accessSeconds);
    times.set(ValueLayout.JAVA_LONG, 8, change.accessNanos);
    times.set(ValueLayout.JAVA_LONG, 16, change.modifySeconds);
    times.set(ValueLayout.JAVA_LONG, 24, change.modifyNanos);
    return times.address();
  }

  /** Two offsets in files, for copy_file_range(2). */
  MemorySegment offsets(long from, long to) {
    times.set(ValueLayout.JAVA_LONG, 0, from);
    times.set(ValueLayout.JAVA_LONG, 8, to);
    return times;
  }

  /** For attributes that the guest does not see. */
  Attributes ownAttributes() {
    return attributes;
  }

  /** Room for entries of a folder. */
  MemorySegment entries() {
    return entries;
  }
}
