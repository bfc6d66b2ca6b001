package io.rund.kvm.virtio.fs;

import io.rund.core.linux.Linux;
import io.rund.kvm.fs.SharedFileSystem;
import java.lang.foreign.MemorySegment;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One guest's use of its file system, from INIT to DESTROY and again: takes a request, has it done,
 * writes the answer. Called by any number of threads at once, which may block. A request that is
 * not what the protocol asks for gets -EINVAL, an unknown one -ENOSYS; neither reaches the file
 * system.
 */
final class FuseSession {
  private static final Logger log = LoggerFactory.getLogger(FuseSession.class);

  /** The most bytes of one READ or WRITE; with headers, they fit the queue page by page. */
  static final int MAX_TRANSFER = 1 << 20;

  private static final int PAGE_SIZE = 4096;

  /**
   * Requests that the guest's kernel sends without a process waiting for each: read-ahead and
   * direct I/O. Its own default is 12.
   */
  private static final int MAX_BACKGROUND = 64;

  /**
   * What is taken of what the guest's kernel offers.
   *
   * <p>Not WRITEBACK_CACHE: the guest would decide on sizes and times of files that others on the
   * host write too. Not POSIX_LOCKS and FLOCK_LOCKS: locks hold among the sandbox's processes, in
   * its own kernel. Not EXPORT_SUPPORT: no file handles over NFS. CACHE_SYMLINKS holds for all
   * shares, but a link's target never changes and its node pins the inode.
   */
  private static final long WANTED =
      Wire.ASYNC_READ
          | Wire.ATOMIC_O_TRUNC
          | Wire.BIG_WRITES
          | Wire.DONT_MASK
          | Wire.AUTO_INVAL_DATA
          | Wire.DO_READDIRPLUS
          | Wire.READDIRPLUS_AUTO
          | Wire.ASYNC_DIO
          | Wire.PARALLEL_DIROPS
          | Wire.POSIX_ACL
          | Wire.MAX_PAGES
          | Wire.CACHE_SYMLINKS
          | Wire.SUBMOUNTS
          | Wire.HANDLE_KILLPRIV_V2
          | Wire.SETXATTR_EXT
          | Wire.INIT_EXT
          | Wire.DIRECT_IO_ALLOW_MMAP;

  private final SharedFileSystem fs;
  private final FuseOperations operations;
  private volatile boolean mounted;

  /** Whether struct fuse_setxattr_in has its newer, longer form. */
  private volatile boolean longSetxattr;

  private volatile boolean failureLogged;

  FuseSession(SharedFileSystem fs) {
    this.fs = fs;
    this.operations = new FuseOperations(fs);
  }

  /** While no request is served. */
  FsDeviceState state() {
    return new FsDeviceState(mounted, longSetxattr, fs.state());
  }

  /** Goes on from a session of another device, before the first request. */
  void restore(FsDeviceState state) {
    fs.restore(state.files());
    longSetxattr = state.longSetxattr();
    mounted = state.mounted();
  }

  /** Does what the request asks for and answers it. Never throws. */
  void serve(FsRequest request) {
    Opcode opcode = Opcode.of(request.opcode());
    long result;
    FsScratch scratch = null;
    try {
      scratch = FsScratch.get();
      result = opcode == null ? -Linux.ENOSYS : perform(request, opcode, scratch);
    } catch (Throwable t) {
      // An Error too: the guest must get its memory back, or its reset would wait for ever.
      logFailure(opcode, t);
      result = -Linux.EIO;
    }
    if (opcode == null || opcode.isAnswered()) {
      answer(request, opcode, scratch, result);
    }
  }

  private void logFailure(Opcode opcode, Throwable cause) {
    if (!failureLogged) {
      failureLogged = true;
      log.error("virtio-fs: {} failed; later failures are not logged", opcode, cause);
    }
  }

  private long perform(FsRequest request, Opcode opcode, FsScratch scratch) {
    boolean longer = opcode == Opcode.SETXATTR && longSetxattr;
    int fixed = longer ? Wire.SETXATTR_IN : opcode.arguments();
    int malformed = scratch.arguments.load(request, opcode, fixed);
    if (malformed < 0) {
      return malformed;
    }
    return switch (opcode) {
      case INIT -> init(scratch.arguments, scratch.answer);
      case DESTROY -> {
        mounted = false;
        fs.forgetAll();
        yield 0;
      }
      default -> mounted ? operations.perform(request, opcode, scratch) : -Linux.EIO;
    };
  }

  /** Writes the answer's header, and what follows it if that is not there already. */
  private static void answer(FsRequest request, Opcode opcode, FsScratch scratch, long result) {
    long payload = Math.max(0, result);
    long length = Wire.OUT_HEADER + payload;
    MemorySegment header =
        scratch == null ? MemorySegment.ofArray(new byte[Wire.OUT_HEADER]) : scratch.answer;
    header.set(Wire.INT, 0, (int) length);
    header.set(Wire.INT, 4, (int) Math.min(0, result));
    header.set(Wire.LONG, 8, request.unique());
    request.copyAnswer(header, opcode == Opcode.READ ? Wire.OUT_HEADER : length);
    request.written(length);
  }

  /** A mount in the guest. What an earlier one left, if it ended without DESTROY, goes. */
  private long init(Arguments in, MemorySegment answer) {
    int major = in.u32(0);
    int minor = in.u32(4);
    if (major < Wire.MAJOR || (major == Wire.MAJOR && minor < Wire.MIN_MINOR)) {
      return -Linux.EPROTO;
    }
    mounted = false;
    fs.forgetAll();
    MemorySegment out = answer.asSlice(Wire.OUT_HEADER, Wire.INIT_OUT);
    out.fill((byte) 0);
    out.set(Wire.INT, 0, Wire.MAJOR);
    if (major > Wire.MAJOR) {
      // It asks again, with this major.
      return Wire.INIT_OUT;
    }
    long offered = Integer.toUnsignedLong(in.u32(12));
    if ((offered & Wire.INIT_EXT) != 0 && in.length() >= 20) {
      offered |= (long) in.u32(16) << 32;
    }
    long flags = offered & WANTED;
    out.set(Wire.INT, 4, Math.min(minor, Wire.MINOR));
    out.set(Wire.INT, 8, in.u32(8));
    out.set(Wire.INT, 12, (int) flags);
    out.set(Wire.SHORT, 16, (short) MAX_BACKGROUND);
    out.set(Wire.SHORT, 18, (short) (MAX_BACKGROUND / 4 * 3));
    out.set(Wire.INT, 20, MAX_TRANSFER);
    // Times have the resolution of a nanosecond.
    out.set(Wire.INT, 24, 1);
    out.set(Wire.SHORT, 28, (short) (MAX_TRANSFER / PAGE_SIZE));
    out.set(Wire.INT, 32, (int) (flags >>> 32));
    longSetxattr = (flags & Wire.SETXATTR_EXT) != 0;
    mounted = true;
    return Wire.INIT_OUT;
  }
}
