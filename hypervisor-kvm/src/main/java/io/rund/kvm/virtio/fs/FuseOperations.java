package io.rund.kvm.virtio.fs;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.AttributeChange;
import io.rund.kvm.fs.Caller;
import io.rund.kvm.fs.Name;
import io.rund.kvm.fs.SharedFileSystem;

/**
 * Each request's way to the file system and its answer's way back. Every method returns the bytes
 * of the answer after its header, or a negative errno. Offsets are those of the structures in
 * include/uapi/linux/fuse.h.
 */
final class FuseOperations {
  private static final int OUT = Wire.OUT_HEADER;

  /**
   * The most bytes of one copy_file_range, which may be short: a thread is not held for long, and
   * neither is a reset that waits for it.
   */
  private static final long MAX_COPY = 128 << 20;

  private final SharedFileSystem fs;
  private final XattrOperations xattrs;

  FuseOperations(SharedFileSystem fs) {
    this.fs = fs;
    this.xattrs = new XattrOperations(fs);
  }

  /** {@code scratch} has the request's arguments, which are well-formed. */
  long perform(FsRequest request, Opcode opcode, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long node = request.node();
    return switch (opcode) {
      case LOOKUP -> lookup(node, scratch);
      case FORGET -> forget(node, in.u64(0));
      case BATCH_FORGET -> forgetMany(in);
      // No operation waits for anything that an interrupt could end early, and the guest waits for
      // its answer all the same (fs/fuse/dev.c, request_wait_answer): there is nothing to do.
      case INTERRUPT -> 0;
      case GETATTR -> attributes(fs.getAttributes(node, scratch.attributes), scratch);
      case SETATTR -> setAttributes(node, scratch);
      case STATX -> extendedAttributes(node, scratch);
      case READLINK -> readLink(node, request, scratch);
      case SYMLINK, MKNOD, MKDIR, LINK -> make(opcode, request, scratch);
      case UNLINK -> {
        int n = name(scratch.name, scratch);
        yield n < 0 ? n : fs.unlink(node, scratch.name);
      }
      case RMDIR -> {
        int n = name(scratch.name, scratch);
        yield n < 0 ? n : fs.removeDirectory(node, scratch.name);
      }
      case RENAME -> rename(node, 0, scratch);
      case RENAME2 -> rename(node, in.u32(8), scratch);
      case OPEN -> open(node, scratch);
      case CREATE, TMPFILE -> create(opcode, request, scratch);
      case READ -> read(request, scratch);
      case WRITE -> write(request, scratch);
      case FLUSH -> fs.flush(in.u64(0));
      case RELEASE, RELEASEDIR -> fs.release(in.u64(0));
      case FSYNC, FSYNCDIR -> fs.fsync(in.u64(0), (in.u32(8) & Wire.FSYNC_FDATASYNC) != 0);
      case SYNCFS -> fs.syncFs(node);
      case FALLOCATE ->
          fs.fallocate(in.u64(0), in.u32(24), in.u64(8), in.u64(16), losesSetIds(request));
      case LSEEK -> seek(scratch);
      case COPY_FILE_RANGE -> copy(request, scratch);
      case STATFS -> statistics(node, scratch);
      case OPENDIR -> openDirectory(node, scratch);
      case READDIR -> readDirectory(request, false, scratch);
      case READDIRPLUS -> readDirectory(request, true, scratch);
      case SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR -> xattrs.perform(request, opcode, scratch);
      case INIT, DESTROY -> throw new IllegalArgumentException(opcode + " is the session's");
    };
  }

  private static int name(Name name, FsScratch scratch) {
    Arguments in = scratch.arguments;
    return name.set(in.bytes(), in.text(), in.length());
  }

  private static Caller caller(FsRequest request, int umask, FsScratch scratch) {
    return scratch.caller.set(request.uid(), request.gid(), umask);
  }

  // Names and nodes.

  private long lookup(long parent, FsScratch scratch) {
    int result = name(scratch.name, scratch);
    if (result < 0) {
      return result;
    }
    result = fs.lookup(parent, scratch.name, scratch.entry);
    if (result == -Linux.ENOENT && fs.cachePolicy(parent) == CachePolicy.ALWAYS) {
      // Unlike the error, this is remembered by the guest.
      Answers.noEntry(scratch.answer, OUT, CachePolicy.ALWAYS);
      return Wire.ENTRY_OUT;
    }
    return entry(result, scratch);
  }

  private static long entry(int result, FsScratch scratch) {
    if (result < 0) {
      return result;
    }
    Answers.entry(scratch.answer, OUT, scratch.entry);
    return Wire.ENTRY_OUT;
  }

  private long forget(long node, long count) {
    fs.forget(node, count);
    return 0;
  }

  /** struct fuse_batch_forget_in, then a struct fuse_forget_one for each. */
  private long forgetMany(Arguments in) {
    int first = Opcode.BATCH_FORGET.arguments();
    long count = Integer.toUnsignedLong(in.u32(0));
    if (in.length() - first != count * Wire.FORGET_ONE) {
      return -Linux.EINVAL;
    }
    for (long at = first; at < in.length(); at += Wire.FORGET_ONE) {
      fs.forget(in.u64(at), in.u64(at + 8));
    }
    return 0;
  }

  private long make(Opcode opcode, FsRequest request, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long node = request.node();
    Name name = scratch.name;
    int result = name(name, scratch);
    if (result < 0) {
      return result;
    }
    return switch (opcode) {
      case MKNOD -> {
        Caller caller = caller(request, in.u32(8), scratch);
        yield entry(fs.makeNode(caller, node, name, in.u32(0), in.u32(4), scratch.entry), scratch);
      }
      case MKDIR -> {
        Caller caller = caller(request, in.u32(4), scratch);
        yield entry(fs.makeDirectory(caller, node, name, in.u32(0), scratch.entry), scratch);
      }
      case LINK -> entry(fs.link(in.u64(0), node, name, scratch.entry), scratch);
      default -> {
        result = scratch.text.set(in.bytes(), in.secondText(), in.length());
        Caller caller = caller(request, 0, scratch);
        yield result < 0
            ? result
            : entry(fs.symlink(caller, node, name, scratch.text, scratch.entry), scratch);
      }
    };
  }

  private long rename(long parent, int flags, FsScratch scratch) {
    Arguments in = scratch.arguments;
    int result = name(scratch.name, scratch);
    if (result < 0) {
      return result;
    }
    result = scratch.secondName.set(in.bytes(), in.secondText(), in.length());
    return result < 0
        ? result
        : fs.rename(parent, scratch.name, in.u64(0), scratch.secondName, flags);
  }

  private long readLink(long node, FsRequest request, FsScratch scratch) {
    long room = Math.min(request.answerRoom(), FsScratch.ANSWER);
    return room == 0 ? -Linux.EINVAL : fs.readLink(node, scratch.answer.asSlice(OUT, room));
  }

  // Attributes.

  private static long attributes(int result, FsScratch scratch) {
    if (result < 0) {
      return result;
    }
    Answers.attributes(scratch.answer, OUT, scratch.attributes);
    return Wire.ATTR_OUT;
  }

  private long extendedAttributes(long node, FsScratch scratch) {
    int result = fs.getAttributes(node, scratch.attributes);
    if (result < 0) {
      return result;
    }
    Answers.statx(scratch.answer, OUT, scratch.attributes);
    return Wire.STATX_OUT;
  }

  private long setAttributes(long node, FsScratch scratch) {
    Arguments in = scratch.arguments;
    int valid = in.u32(0);
    AttributeChange change = scratch.change.clear();
    if ((valid & Wire.FATTR_MODE) != 0) {
      change.mode(in.u32(68));
    }
    if ((valid & Wire.FATTR_UID) != 0) {
      change.uid(in.u32(76));
    }
    if ((valid & Wire.FATTR_GID) != 0) {
      change.gid(in.u32(80));
    }
    if ((valid & Wire.FATTR_SIZE) != 0) {
      change.size(in.u64(16));
    }
    if ((valid & Wire.FATTR_ATIME_NOW) != 0) {
      change.accessTimeNow();
    } else if ((valid & Wire.FATTR_ATIME) != 0) {
      change.accessTime(in.u64(32), in.u32(56));
    }
    if ((valid & Wire.FATTR_MTIME_NOW) != 0) {
      change.modifyTimeNow();
    } else if ((valid & Wire.FATTR_MTIME) != 0) {
      change.modifyTime(in.u64(40), in.u32(60));
    }
    change.killSuidGid((valid & Wire.FATTR_KILL_SUIDGID) != 0);
    long handle = (valid & Wire.FATTR_FH) != 0 ? in.u64(8) : SharedFileSystem.NO_HANDLE;
    return attributes(fs.setAttributes(node, handle, change, scratch.attributes), scratch);
  }

  private long statistics(long node, FsScratch scratch) {
    int result = fs.statFs(node, scratch.statistics);
    if (result < 0) {
      return result;
    }
    Answers.statistics(scratch.answer, OUT, scratch.statistics);
    return Wire.STATFS_OUT;
  }

  // Files.

  private long open(long node, FsScratch scratch) {
    Arguments in = scratch.arguments;
    int flags = in.u32(0);
    long handle = fs.open(node, flags, (in.u32(4) & Wire.OPEN_KILL_SUIDGID) != 0);
    if (handle < 0) {
      return handle;
    }
    Answers.open(scratch.answer, OUT, handle, openFlags(fs.cachePolicy(node), handle, flags));
    return Wire.OPEN_OUT;
  }

  private long create(Opcode opcode, FsRequest request, FsScratch scratch) {
    Arguments in = scratch.arguments;
    int flags = in.u32(0);
    int mode = in.u32(4);
    Caller caller = caller(request, in.u32(8), scratch);
    long handle;
    if (opcode == Opcode.TMPFILE) {
      // The name is one that the guest's kernel made up.
      handle = fs.temporaryFile(caller, request.node(), mode, flags, scratch.entry);
    } else {
      int result = name(scratch.name, scratch);
      if (result < 0) {
        return result;
      }
      handle = fs.create(caller, request.node(), scratch.name, mode, flags, scratch.entry);
    }
    if (handle < 0) {
      return handle;
    }
    CachePolicy policy = scratch.entry.attributes().cache();
    Answers.entry(scratch.answer, OUT, scratch.entry);
    long at = (long) OUT + Wire.ENTRY_OUT;
    Answers.open(scratch.answer, at, handle, openFlags(policy, handle, flags));
    return Wire.ENTRY_OUT + Wire.OPEN_OUT;
  }

  /**
   * What the guest may keep of a file that it opens. A close need not be told (NOFLUSH) if there is
   * nothing that others wait to see.
   */
  private int openFlags(CachePolicy policy, long handle, int flags) {
    int noFlush = (flags & Linux.O_ACCMODE) == Linux.O_RDONLY ? Wire.FOPEN_NOFLUSH : 0;
    return switch (policy) {
      case ALWAYS -> Wire.FOPEN_KEEP_CACHE | Wire.FOPEN_NOFLUSH;
      case AUTO -> noFlush | (fs.unchanged(handle) ? Wire.FOPEN_KEEP_CACHE : 0);
      case NONE -> noFlush | Wire.FOPEN_DIRECT_IO | Wire.FOPEN_PARALLEL_DIRECT_WRITES;
    };
  }

  private long read(FsRequest request, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long offset = in.u64(8);
    long size = Integer.toUnsignedLong(in.u32(16));
    if (offset < 0 || size > FuseSession.MAX_TRANSFER || size > request.answerRoom()) {
      return -Linux.EINVAL;
    }
    request.roomToRead(scratch.vector, size);
    return fs.read(in.u64(0), scratch.vector, offset);
  }

  private long write(FsRequest request, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long offset = in.u64(8);
    long size = Integer.toUnsignedLong(in.u32(16));
    if (offset < 0
        || size > FuseSession.MAX_TRANSFER
        || size != in.length() - Opcode.WRITE.arguments()) {
      return -Linux.EINVAL;
    }
    int how = in.u32(20);
    request.dataToWrite(scratch.vector, size);
    long written =
        fs.write(
            in.u64(0),
            scratch.vector,
            offset,
            in.u32(32),
            (how & Wire.WRITE_CACHE) != 0,
            (how & Wire.WRITE_KILL_SUIDGID) != 0);
    return written(written, scratch);
  }

  private static long written(long result, FsScratch scratch) {
    if (result < 0) {
      return result;
    }
    Answers.written(scratch.answer, OUT, result);
    return Wire.WRITE_OUT;
  }

  private long seek(FsScratch scratch) {
    Arguments in = scratch.arguments;
    long result = fs.seek(in.u64(0), in.u64(8), in.u32(16));
    if (result < 0) {
      return result;
    }
    scratch.answer.set(Wire.LONG, OUT, result);
    return Wire.LSEEK_OUT;
  }

  private long copy(FsRequest request, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long length = in.u64(40);
    if (length < 0 || in.u64(48) != 0) {
      return -Linux.EINVAL;
    }
    long most = Math.min(length, MAX_COPY);
    long copied =
        fs.copyRange(in.u64(0), in.u64(8), in.u64(24), in.u64(32), most, 0, losesSetIds(request));
    return written(copied, scratch);
  }

  /**
   * Whether the caller's change takes a file's setuid and setgid bits. These requests do not say
   * it, as WRITE does; root alone is taken for one who has CAP_FSETID.
   */
  private static boolean losesSetIds(FsRequest request) {
    return request.uid() != 0;
  }

  // Folders.

  private long openDirectory(long node, FsScratch scratch) {
    long handle = fs.openDirectory(node);
    if (handle < 0) {
      return handle;
    }
    int flags =
        fs.cachePolicy(node) == CachePolicy.ALWAYS
            ? Wire.FOPEN_KEEP_CACHE | Wire.FOPEN_CACHE_DIR
            : 0;
    Answers.open(scratch.answer, OUT, handle, flags);
    return Wire.OPEN_OUT;
  }

  private long readDirectory(FsRequest request, boolean plus, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long size = Integer.toUnsignedLong(in.u32(16));
    if (size > request.answerRoom()) {
      return -Linux.EINVAL;
    }
    long room = Math.min(size, FsScratch.ANSWER);
    return scratch.directory.fill(fs, request.node(), in.u64(0), in.u64(8), plus, room);
  }
}
