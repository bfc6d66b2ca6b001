package io.rund.kvm.virtio.block;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.memory.IoVector;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A regular file or a block device of the host, through its page cache: preadv and pwritev move
 * bytes between it and guest RAM with no copy in between.
 */
public final class FileBackend implements BlockBackend {
  /** ioctls of block devices: include/uapi/linux/fs.h. */
  private static final long BLKSSZGET = 0x1268;

  private static final long BLKDISCARD = 0x1277;
  private static final long BLKGETSIZE64 = 0x80081272L;

  private static final int SECTOR = 512;

  private final Fd fd;
  private final String name;
  private final boolean device;
  private final boolean readOnly;
  private final long capacity;
  private final int blockSize;

  private FileBackend(
      Fd fd, String name, boolean device, boolean readOnly, long capacity, int blockSize) {
    this.fd = fd;
    this.name = name;
    this.device = device;
    this.readOnly = readOnly;
    this.capacity = capacity;
    this.blockSize = blockSize;
  }

  /**
   * Opens a disk.
   *
   * @throws RundException NOT_FOUND if there is no such file, INVALID_ARGUMENT if it is neither
   *     file nor block device or too small, UNAVAILABLE if it cannot be opened
   */
  public static FileBackend open(DiskConfig disk) {
    String name = disk.path().toString();
    Fd fd;
    try {
      // Without O_NONBLOCK, opening a FIFO would wait for ever; files and disks do not care.
      fd = Fd.open(name, (disk.readOnly() ? Linux.O_RDONLY : Linux.O_RDWR) | Linux.O_NONBLOCK);
    } catch (LastErrorException e) {
      ErrorCode code =
          e.getErrorCode() == Linux.ENOENT ? ErrorCode.NOT_FOUND : ErrorCode.UNAVAILABLE;
      throw new RundException(code, "cannot open disk " + name + ": " + e.getMessage(), e);
    }
    try {
      return inspect(fd, name, disk.readOnly());
    } catch (RuntimeException e) {
      fd.close();
      throw e;
    }
  }

  private static FileBackend inspect(Fd fd, String name, boolean readOnly) {
    Path opened = Path.of("/proc/self/fd/" + fd.number());
    try (Arena arena = Arena.ofConfined()) {
      long capacity;
      int blockSize = SECTOR;
      boolean device = !Files.isRegularFile(opened);
      if (device) {
        MemorySegment result = arena.allocate(Long.BYTES, Long.BYTES);
        Libc.ioctl(fd.number(), BLKGETSIZE64, result.address());
        capacity = result.get(ValueLayout.JAVA_LONG, 0);
        Libc.ioctl(fd.number(), BLKSSZGET, result.address());
        blockSize = result.get(ValueLayout.JAVA_INT, 0);
      } else {
        capacity = Files.size(opened);
      }
      if (capacity < blockSize) {
        throw RundException.invalid("disk " + name + " has " + capacity + " bytes: too small");
      }
      return new FileBackend(fd, name, device, readOnly, capacity, blockSize);
    } catch (LastErrorException e) {
      throw RundException.invalid("disk " + name + " is neither a file nor a block device");
    } catch (IOException e) {
      throw RundException.unavailable("cannot read the size of disk " + name, e);
    }
  }

  @Override
  public long capacity() {
    return capacity;
  }

  @Override
  public int blockSize() {
    return blockSize;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int readNow(long offset, IoVector data) {
    // Whatever keeps it from being filled, the ordinary read finds out.
    long n = Libc.Try.preadv2(fd.number(), data.address(), data.count(), offset, Linux.RWF_NOWAIT);
    return n == data.bytes() ? 0 : Linux.EAGAIN;
  }

  @Override
  public int read(long offset, IoVector data) {
    long at = offset;
    while (data.bytes() > 0) {
      long n = Libc.Try.preadv(fd.number(), data.address(), data.count(), at);
      if (n == 0) {
        // The file has become shorter than it was.
        return Linux.EIO;
      }
      if (n < 0) {
        if (Native.getLastError() == Linux.EINTR) {
          continue;
        }
        return Native.getLastError();
      }
      data.advance(n);
      at += n;
    }
    return 0;
  }

  @Override
  public int write(long offset, IoVector data) {
    long at = offset;
    while (data.bytes() > 0) {
      long n = Libc.Try.pwritev(fd.number(), data.address(), data.count(), at);
      if (n < 0) {
        if (Native.getLastError() == Linux.EINTR) {
          continue;
        }
        return Native.getLastError();
      }
      data.advance(n);
      at += n;
    }
    return 0;
  }

  @Override
  public int flush() {
    try {
      Libc.fdatasync(fd.number());
      return 0;
    } catch (LastErrorException e) {
      return e.getErrorCode();
    }
  }

  @Override
  public int discard(long offset, long length) {
    if (!device) {
      return allocate(Linux.FALLOC_FL_PUNCH_HOLE, offset, length);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment range = arena.allocateFrom(ValueLayout.JAVA_LONG, offset, length);
      Libc.ioctl(fd.number(), BLKDISCARD, range.address());
      return 0;
    } catch (LastErrorException e) {
      return e.getErrorCode();
    }
  }

  @Override
  public int zero(long offset, long length, boolean mayUnmap) {
    // Block devices take fallocate too (block/fops.c, blkdev_fallocate).
    if (mayUnmap && allocate(Linux.FALLOC_FL_PUNCH_HOLE, offset, length) == 0) {
      return 0;
    }
    return allocate(Linux.FALLOC_FL_ZERO_RANGE, offset, length);
  }

  private int allocate(int mode, long offset, long length) {
    try {
      Libc.fallocate(fd.number(), mode | Linux.FALLOC_FL_KEEP_SIZE, offset, length);
      return 0;
    } catch (LastErrorException e) {
      return e.getErrorCode();
    }
  }

  @Override
  public void close() {
    fd.close();
  }
}
