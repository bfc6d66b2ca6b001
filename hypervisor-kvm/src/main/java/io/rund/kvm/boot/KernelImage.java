package io.rund.kvm.boot;

import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads an uncompressed x86-64 kernel (vmlinux) into guest memory. The file is an operator's, but
 * may still be the wrong one or cut short, so nothing in it is believed (ELF-64 Object File Format
 * 1.5; System V ABI).
 *
 * @param entry guest-physical address of the first instruction, for 64-bit mode
 * @param end the first address after the kernel, its bss included
 */
record KernelImage(long entry, long end) {
  private static final int HEADER_SIZE = 64;
  private static final int PROGRAM_HEADER_SIZE = 56;

  /** Real kernels have five. */
  private static final int MAX_PROGRAM_HEADERS = 64;

  private static final int ELF_MAGIC = 0x464c457f;
  private static final byte ELF_CLASS_64 = 2;
  private static final byte ELF_LITTLE_ENDIAN = 1;
  private static final short ET_EXEC = 2;
  private static final short EM_X86_64 = 62;
  private static final int PT_LOAD = 1;

  /** "HdrS" at 0x202 marks a bzImage (Documentation/arch/x86/boot.rst). */
  private static final int BZIMAGE_OFFSET = 0x202;

  private static final int BZIMAGE_MAGIC = 0x53726448;

  /**
   * @throws RundException INVALID_ARGUMENT if the file cannot be read, is no such kernel or does
   *     not fit into the guest's memory
   */
  static KernelImage load(Path path, GuestMemory memory) {
    try (MappedFile file = new MappedFile(path)) {
      return load(path, file, memory);
    } catch (IOException e) {
      throw RundException.invalid(
          "cannot read guest kernel " + path + ": " + e + "; set it to an existing vmlinux");
    }
  }

  private static KernelImage load(Path path, MappedFile file, GuestMemory memory)
      throws IOException {
    ByteBuffer header = read(file, 0, Math.min(file.size(), BZIMAGE_OFFSET + Integer.BYTES));
    if (header.limit() == BZIMAGE_OFFSET + Integer.BYTES
        && header.getInt(BZIMAGE_OFFSET) == BZIMAGE_MAGIC) {
      throw invalid(path, "it is a compressed bzImage");
    }
    if (header.limit() < HEADER_SIZE || header.getInt(0) != ELF_MAGIC) {
      throw invalid(path, "it is not an ELF file");
    }
    if (header.get(4) != ELF_CLASS_64
        || header.get(5) != ELF_LITTLE_ENDIAN
        || header.getShort(16) != ET_EXEC
        || header.getShort(18) != EM_X86_64) {
      throw invalid(path, "it is not an x86-64 executable");
    }
    long entry = header.getLong(24);
    long tableOffset = header.getLong(32);
    int entrySize = Short.toUnsignedInt(header.getShort(54));
    int count = Short.toUnsignedInt(header.getShort(56));
    long tableSize = (long) count * PROGRAM_HEADER_SIZE;
    if (entrySize != PROGRAM_HEADER_SIZE
        || count > MAX_PROGRAM_HEADERS
        || !within(tableOffset, tableSize, file.size())) {
      throw invalid(path, "its program headers are broken");
    }
    ByteBuffer table = read(file, tableOffset, tableSize);
    List<Segment> segments = new ArrayList<>();
    for (int at = 0; at < tableSize; at += PROGRAM_HEADER_SIZE) {
      if (table.getInt(at) == PT_LOAD) {
        Segment segment =
            new Segment(
                table.getLong(at + 8),
                table.getLong(at + 24),
                table.getLong(at + 32),
                table.getLong(at + 40));
        segment.check(path, file.size(), memory);
        segments.add(segment);
      }
    }
    if (segments.stream().noneMatch(s -> within(entry - s.address, 1, s.fileSize))) {
      throw invalid(path, "its entry point is in no segment");
    }
    long end = segments.stream().mapToLong(s -> s.address + s.memorySize).max().orElseThrow();
    for (Segment segment : segments) {
      file.copy(segment.offset, segment.fileSize, memory, segment.address);
    }
    return new KernelImage(entry, end);
  }

  /** A PT_LOAD program header. */
  private record Segment(long offset, long address, long fileSize, long memorySize) {
    void check(Path path, long length, GuestMemory memory) {
      if (!within(offset, fileSize, length)) {
        throw invalid(path, "it is cut short");
      }
      if (memorySize < fileSize
          || address < Layout.HIGH_RAM_START
          || !within(address, memorySize, Layout.IDENTITY_MAPPED)) {
        throw invalid(path, "it wants to be loaded at 0x%x".formatted(address));
      }
      if (address + memorySize > memory.size()) {
        throw RundException.invalid(
            "guest memory of %d MiB is too small: kernel %s alone ends at %d MiB; raise the limit"
                .formatted(
                    memory.size() >> 20, path, Math.ceilDiv(address + memorySize, 1L << 20)));
      }
    }
  }

  private static boolean within(long offset, long length, long limit) {
    return offset >= 0 && length >= 0 && offset <= limit && length <= limit - offset;
  }

  private static ByteBuffer read(MappedFile file, long position, long length) {
    return file.bytes().asSlice(position, length).asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  private static RundException invalid(Path path, String why) {
    return RundException.invalid(
        "guest kernel " + path + " cannot be booted: " + why + "; give an uncompressed vmlinux");
  }
}
