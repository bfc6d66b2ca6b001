package io.rund.kvm.fs;

import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.lang.foreign.MemorySegment;

/** Operations on the contents of open files. Takes no lock and allocates nothing. Thread-safe. */
final class FileIo {
  /** The most that one copy_file_range does: its answer has 32 bits, and it holds up a thread. */
  private static final long COPY_MAX = 1L << 30;

  /** The smallest block that O_DIRECT knows. */
  private static final int SECTOR = 512;

  /** A change time as old as this, in ns, will not be that of a later change: ticks are 10 ms. */
  private static final long SETTLED = 100_000_000;

  private static final long NANOS = 1_000_000_000;

  private final HandleTable handles;

  FileIo(HandleTable handles) {
    this.handles = handles;
  }

  long read(long handle, IoVector to, long offset) {
    if (offset < 0) {
      return -Linux.EINVAL;
    }
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      long done = 0;
      while (to.bytes() > 0) {
        long n =
            FileCalls.result(FileCalls.preadv(file.fd, to.address(), to.count(), offset + done));
        if (n == -Linux.EINTR) {
          continue;
        }
        if (n <= 0) {
          return done > 0 ? done : n;
        }
        to.advance(n);
        done += n;
      }
      return done;
    } finally {
      file.release();
    }
  }

  long write(
      long handle, IoVector from, long offset, int flags, boolean cached, boolean killSuidGid) {
    // To pwritev2(2), -1 is the descriptor's own position.
    if (offset < 0) {
      return -Linux.EINVAL;
    }
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      Worker worker = Worker.changing(killSuidGid);
      // The page cache writes up to the end of a file, which no block device can do directly.
      boolean misaligned = ((offset | from.bytes()) & (SECTOR - 1)) != 0;
      if (file.direct && cached && misaligned) {
        int fd = worker.reopen(file.fd, Linux.O_WRONLY);
        if (fd < 0) {
          return Errno.ofOpen(fd);
        }
        long done = write(fd, from, offset, 0);
        int ignored = FileCalls.close(fd);
        return done;
      }
      return write(file.fd, from, offset, hostFlags(flags, cached));
    } finally {
      file.release();
    }
  }

  /** To append is to write where the host's file ends, which other guests may have moved. */
  private static int hostFlags(int flags, boolean cached) {
    int append = !cached && (flags & Linux.O_APPEND) != 0 ? Linux.RWF_APPEND : 0;
    if ((flags & Linux.O_SYNC) == Linux.O_SYNC) {
      return append | Linux.RWF_SYNC;
    }
    return (flags & Linux.O_DSYNC) != 0 ? append | Linux.RWF_DSYNC : append;
  }

  private static long write(int fd, IoVector from, long offset, int flags) {
    long done = 0;
    while (from.bytes() > 0) {
      long n =
          FileCalls.result(
              FileCalls.pwritev2(fd, from.address(), from.count(), offset + done, flags));
      if (n == -Linux.EINTR) {
        continue;
      }
      if (n <= 0) {
        return done > 0 ? done : n;
      }
      from.advance(n);
      done += n;
    }
    return done;
  }

  boolean unchanged(long handle) {
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return false;
    }
    try {
      Attributes now = Worker.current().ownAttributes();
      if (Worker.attributes(file.fd, now) < 0) {
        return false;
      }
      long change = now.changeSeconds() * NANOS + now.changeNanos();
      boolean settled = System.currentTimeMillis() * (NANOS / 1000) - change > SETTLED;
      return file.node.seenBefore(change, now.size(), settled);
    } finally {
      file.release();
    }
  }

  /** What NFS and the like say of a file when one of its descriptors is closed. */
  int flush(long handle) {
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      int fd = FileCalls.result(FileCalls.fcntl(file.fd, Linux.F_DUPFD_CLOEXEC, 0));
      return fd < 0 ? Errno.ofOpen(fd) : FileCalls.result(FileCalls.close(fd));
    } finally {
      file.release();
    }
  }

  int sync(long handle, boolean dataOnly) {
    Handle open = handles.acquire(handle);
    if (open == null) {
      return -Linux.EBADF;
    }
    try {
      if (open.fd < 0) {
        return 0;
      }
      return FileCalls.result(dataOnly ? FileCalls.fdatasync(open.fd) : FileCalls.fsync(open.fd));
    } finally {
      open.release();
    }
  }

  int allocate(long handle, int mode, long offset, long length, boolean killSuidGid) {
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      Worker.changing(killSuidGid);
      return FileCalls.result(FileCalls.fallocate(file.fd, mode, offset, length));
    } finally {
      file.release();
    }
  }

  long seek(long handle, long offset, int whence) {
    if (whence != Linux.SEEK_DATA && whence != Linux.SEEK_HOLE) {
      return -Linux.EINVAL;
    }
    OpenFile file = handles.acquireFile(handle);
    if (file == null) {
      return -Linux.EBADF;
    }
    try {
      // The position that this sets is nobody's: all reading and writing says where.
      if (file.node.mappable.get() == 0) {
        return FileCalls.result(FileCalls.lseek(file.fd, offset, whence));
      }
      // A hole here may be data in the guest, whose kernel does not write it out for lseek(2): so
      // all is data, as in a file system that does not know holes.
      long size = FileCalls.result(FileCalls.lseek(file.fd, 0, Linux.SEEK_END));
      if (offset < 0 || offset >= size) {
        return size < 0 ? size : -Linux.ENXIO;
      }
      return whence == Linux.SEEK_DATA ? offset : size;
    } finally {
      file.release();
    }
  }

  long copy(
      long from,
      long fromOffset,
      long to,
      long toOffset,
      long length,
      int flags,
      boolean killSuidGid) {
    OpenFile source = handles.acquireFile(from);
    if (source == null) {
      return -Linux.EBADF;
    }
    try {
      OpenFile target = handles.acquireFile(to);
      if (target == null) {
        return -Linux.EBADF;
      }
      try {
        MemorySegment offsets = Worker.changing(killSuidGid).offsets(fromOffset, toOffset);
        return FileCalls.result(
            FileCalls.copy_file_range(
                source.fd,
                offsets.address(),
                target.fd,
                offsets.address() + Long.BYTES,
                Math.min(length, COPY_MAX),
                flags));
      } finally {
        target.release();
      }
    } finally {
      source.release();
    }
  }
}
