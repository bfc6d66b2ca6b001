package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Fd;
import io.rund.core.linux.StatFs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * A file of the host that a specification names, looked at through one descriptor: what was looked
 * at is what is used.
 *
 * @param fd O_PATH
 * @param path without symbolic links
 * @param device major and minor number, of device nodes
 * @param fileSystemDevice the number by which the kernel tells its file system from others
 * @param inode its number there
 */
record HostFile(
    Fd fd, Path path, Kind kind, DeviceNumber device, DeviceNumber fileSystemDevice, long inode)
    implements AutoCloseable {
  enum Kind {
    DIRECTORY,
    REGULAR,
    SOCKET,
    FIFO,
    BLOCK_DEVICE,
    CHARACTER_DEVICE
  }

  /** As in linux/kdev_t.h. */
  record DeviceNumber(int major, int minor) {
    /** From st_rdev or st_dev as user space has it (glibc, sys/sysmacros.h). */
    static DeviceNumber of(long rdev) {
      return new DeviceNumber(
          (int) (((rdev >>> 8) & 0xfff) | ((rdev >>> 32) & ~0xfffL)),
          (int) ((rdev & 0xff) | ((rdev >>> 12) & ~0xffL)));
    }

    @Override
    public String toString() {
      return major + ":" + minor;
    }
  }

  // The type of a file in its mode: inode(7).
  private static final int S_IFMT = 0xf000;
  private static final Map<Integer, Kind> KINDS =
      Map.of(
          0x4000, Kind.DIRECTORY,
          0x8000, Kind.REGULAR,
          0xc000, Kind.SOCKET,
          0x1000, Kind.FIFO,
          0x6000, Kind.BLOCK_DEVICE,
          0x2000, Kind.CHARACTER_DEVICE);

  /** Follows symbolic links. */
  static HostFile open(String path) throws LastErrorException {
    Fd fd = Fd.openPath(path);
    try {
      Path opened = Path.of("/proc/self/fd/" + fd.number());
      Map<String, Object> attributes = Files.readAttributes(opened, "unix:mode,rdev,dev,ino");
      return new HostFile(
          fd,
          Files.readSymbolicLink(opened),
          KINDS.get((int) attributes.get("mode") & S_IFMT),
          DeviceNumber.of((long) attributes.get("rdev")),
          DeviceNumber.of((long) attributes.get("dev")),
          (long) attributes.get("ino"));
    } catch (IOException e) {
      fd.close();
      throw new UncheckedIOException("cannot look at " + path, e);
    } catch (RuntimeException e) {
      fd.close();
      throw e;
    }
  }

  StatFs fileSystem() {
    return StatFs.of(fd.number());
  }

  @Override
  public void close() {
    fd.close();
  }
}
