package io.rund.kvm.virtio.fs;

import io.rund.core.linux.Linux;
import io.rund.kvm.fs.SharedFileSystem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** As {@link FuseOperations}, for extended attributes. */
final class XattrOperations {
  private static final int OUT = Wire.OUT_HEADER;

  /** Names that xattr(7) shows to the privileged only. */
  private static final byte[] TRUSTED = "trusted.".getBytes(StandardCharsets.US_ASCII);

  private final SharedFileSystem fs;

  XattrOperations(SharedFileSystem fs) {
    this.fs = fs;
  }

  long perform(FsRequest request, Opcode opcode, FsScratch scratch) {
    Arguments in = scratch.arguments;
    long node = request.node();
    if (opcode != Opcode.LISTXATTR) {
      int result = scratch.text.set(in.bytes(), in.text(), in.length());
      if (result < 0) {
        return result;
      }
    }
    return switch (opcode) {
      case SETXATTR -> set(node, scratch);
      case GETXATTR -> get(request, scratch);
      case LISTXATTR -> list(request, scratch);
      default -> fs.removeXattr(node, scratch.text);
    };
  }

  private long set(long node, FsScratch scratch) {
    Arguments in = scratch.arguments;
    // The longer form has flags of its own; the shorter one has the name in their place.
    boolean killSgid =
        in.text() == Wire.SETXATTR_IN && (in.u32(8) & Wire.SETXATTR_ACL_KILL_SGID) != 0;
    long from = in.secondText();
    MemorySegment value = in.bytes().asSlice(from, in.length() - from);
    return fs.setXattr(node, scratch.text, value, in.u32(4), killSgid);
  }

  private long get(FsRequest request, FsScratch scratch) {
    long size = size(request, scratch);
    if (size < 0) {
      return size;
    }
    MemorySegment out = scratch.answer.asSlice(OUT, Math.min(size, FsScratch.ANSWER));
    int result = fs.getXattr(request.node(), scratch.text, out);
    return size == 0 ? onlySize(result, scratch) : result;
  }

  /** The guest's kernel leaves it to us what a caller may see (fs/fuse/xattr.c). */
  private long list(FsRequest request, FsScratch scratch) {
    long size = size(request, scratch);
    if (size < 0) {
      return size;
    }
    MemorySegment out = scratch.answer.asSlice(OUT, FsScratch.ANSWER);
    int result = fs.listXattr(request.node(), out);
    if (result > 0 && request.uid() != 0) {
      result = withoutTrusted(out, result);
    }
    if (size == 0) {
      return onlySize(result, scratch);
    }
    return result > size ? -Linux.ERANGE : result;
  }

  /** The room that the guest wants to be filled, 0 if it only asks for the size; or -EINVAL. */
  private static long size(FsRequest request, FsScratch scratch) {
    long size = Integer.toUnsignedLong(scratch.arguments.u32(0));
    long needed = size == 0 ? Wire.GETXATTR_OUT : size;
    return request.answerRoom() < needed ? -Linux.EINVAL : size;
  }

  private static long onlySize(int result, FsScratch scratch) {
    if (result < 0) {
      return result;
    }
    Answers.written(scratch.answer, OUT, result);
    return Wire.GETXATTR_OUT;
  }

  private static int withoutTrusted(MemorySegment names, int length) {
    int kept = 0;
    for (int at = 0; at < length; ) {
      int end = at;
      while (names.get(ValueLayout.JAVA_BYTE, end) != 0) {
        end++;
      }
      end++;
      if (!startsWith(names, at, end, TRUSTED)) {
        MemorySegment.copy(names, at, names, kept, end - at);
        kept += end - at;
      }
      at = end;
    }
    return kept;
  }

  private static boolean startsWith(MemorySegment names, int at, int end, byte[] prefix) {
    for (int i = 0; i < prefix.length; i++) {
      if (at + i >= end || names.get(ValueLayout.JAVA_BYTE, (long) at + i) != prefix[i]) {
        return false;
      }
    }
    return true;
  }
}
