package io.rund.core.linux;

import com.sun.jna.LastErrorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Optional;

/**
 * What a file system says of itself (statfs(2)).
 *
 * @param type its magic number (include/uapi/linux/magic.h)
 * @param bytes its size; 0 if it has none
 */
public record StatFs(long type, long bytes) {
  public static final long TMPFS_MAGIC = 0x01021994;

  /** Size of struct statfs, in which f_type, f_bsize and f_blocks are the first words. */
  private static final int SIZE = 120;

  /** File systems without storage or memory of their own that a host may have (the same file). */
  private static final Map<Long, String> KERNEL_VIEWS =
      Map.ofEntries(
          Map.entry(0x9fa0L, "/proc"),
          Map.entry(0x62656572L, "/sys"),
          Map.entry(0x27e0ebL, "cgroup tree"),
          Map.entry(0x63677270L, "cgroup tree"),
          Map.entry(0x1cd1L, "/dev/pts"),
          Map.entry(0x958458f6L, "huge pages"),
          Map.entry(0x64626720L, "debugfs"),
          Map.entry(0x74726163L, "tracefs"),
          Map.entry(0x73636673L, "securityfs"),
          Map.entry(0xcafe4a11L, "bpffs"),
          Map.entry(0x62656570L, "configfs"),
          Map.entry(0x6e736673L, "namespace"),
          Map.entry(0x19800202L, "message queues"),
          Map.entry(0xf97cff8cL, "SELinux"),
          Map.entry(0x43415d53L, "Smack"),
          Map.entry(0x5a3c69f0L, "AppArmor"),
          Map.entry(0xde5e81e4L, "EFI variables"),
          Map.entry(0x6165676cL, "pstore"),
          Map.entry(0x42494e4dL, "binfmt_misc"),
          Map.entry(0x65735543L, "FUSE connections"),
          Map.entry(0x07655821L, "resctrl"),
          Map.entry(0x6c6f6f70L, "binder"),
          Map.entry(0x6e667364L, "nfsd"),
          Map.entry(0x67596969L, "rpc_pipefs"),
          Map.entry(0xabba1974L, "xenfs"));

  /**
   * Of the file system that a file is on.
   *
   * @param fd O_PATH is enough
   */
  public static StatFs of(int fd) throws LastErrorException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(SIZE, Long.BYTES);
      int error = FileCalls.result(FileCalls.fstatfs(fd, result.address()));
      if (error < 0) {
        throw new LastErrorException(-error);
      }
      return new StatFs(
          result.getAtIndex(ValueLayout.JAVA_LONG, 0),
          result.getAtIndex(ValueLayout.JAVA_LONG, 1)
              * result.getAtIndex(ValueLayout.JAVA_LONG, 2));
    }
  }

  /**
   * What of the host's kernel it shows, if that is what it is for: reading or writing its files
   * means talking to that kernel, as whoever does it.
   */
  public Optional<String> kernelView() {
    return Optional.ofNullable(KERNEL_VIEWS.get(type));
  }
}
