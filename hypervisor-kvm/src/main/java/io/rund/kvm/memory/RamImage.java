package io.rund.kvm.memory;

import io.rund.core.error.RundException;
import io.rund.core.linux.Fd;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * How the RAM of a template lies in a snapshot file: its pages that are not zeros, one after the
 * other, in pieces that have a checksum each.
 */
public record RamImage(List<Extent> extents) {
  /** A guest that has booted has some hundreds. */
  private static final int MOST_EXTENTS = 1 << 16;

  /**
   * Pages of RAM that are neighbours, all of one {@link RamTemplate#CHUNK}.
   *
   * @param offset in RAM, in bytes
   * @param length in bytes
   * @param checksum CRC-32C
   */
  record Extent(long offset, int length, int checksum) {
    /** In a snapshot, in bytes. */
    static final int SIZE = Long.BYTES + 2 * Integer.BYTES;

    static void write(Extent extent, SnapshotWriter out) {
      out.int64(extent.offset);
      out.int32(extent.length);
      out.int32(extent.checksum);
    }

    static Extent read(SnapshotReader in) {
      return new Extent(
          in.int64("the place of memory"),
          in.int32("the length of memory", GuestMemory.PAGE_SIZE, (int) RamTemplate.CHUNK),
          in.int32("the checksum of memory"));
    }

    /** Whether it can be behind what ends at {@code end}, in so many bytes of RAM. */
    boolean fits(long end, long bytes) {
      return offset >= end
          && offset <= bytes - length
          && offset % GuestMemory.PAGE_SIZE == 0
          && length % GuestMemory.PAGE_SIZE == 0
          && offset / RamTemplate.CHUNK == (offset + length - 1) / RamTemplate.CHUNK;
    }
  }

  /**
   * Looks through a template.
   *
   * @throws RundException RESOURCE_EXHAUSTED if it is of more pieces than a snapshot may have
   */
  public static RamImage of(RamTemplate ram) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect((int) RamTemplate.CHUNK);
    List<Extent> extents = new ArrayList<>();
    try (Fd file = ram.open();
        FileChannel channel = channel(file)) {
      RamTemplate.Data data = RamTemplate.Data.first(file, ram.bytes());
      while (data != null) {
        for (long at = data.offset(); at < data.end(); ) {
          long chunkEnd = at - at % RamTemplate.CHUNK + RamTemplate.CHUNK;
          int length = (int) (Math.min(chunkEnd, data.end()) - at);
          read(channel, buffer.clear().limit(length), at);
          extents.add(new Extent(at, length, checksum(buffer)));
          at += length;
        }
        data = data.next(file, ram.bytes());
      }
    }
    if (extents.size() > MOST_EXTENTS) {
      throw RundException.precondition(
          "guest memory is of %d pieces, a file takes %d".formatted(extents.size(), MOST_EXTENTS));
    }
    return new RamImage(List.copyOf(extents));
  }

  private static FileChannel channel(Fd file) throws IOException {
    return FileChannel.open(Path.of("/proc/self/fd/" + file.number()), StandardOpenOption.READ);
  }

  /** Bytes in the file. */
  public long length() {
    return extents.stream().mapToLong(Extent::length).sum();
  }

  /** Writes the pages of the template that this is an image of. */
  public void save(RamTemplate ram, FileChannel target, long position) throws IOException {
    try (Fd file = ram.open();
        FileChannel source = channel(file)) {
      target.position(position);
      for (Extent extent : extents) {
        for (long done = 0; done < extent.length; ) {
          long moved = source.transferTo(extent.offset + done, extent.length - done, target);
          if (moved <= 0) {
            throw new IOException("guest memory is not written any further");
          }
          done += moved;
        }
      }
    }
  }

  /**
   * Reads the pages and compares each with its checksum.
   *
   * @param bytes of RAM
   * @throws RundException FAILED_PRECONDITION if one is wrong, RESOURCE_EXHAUSTED if the host
   *     refuses
   */
  public RamTemplate load(String name, long bytes, FileChannel source, long position)
      throws IOException {
    return RamTemplate.make(
        name,
        bytes,
        ram -> {
          long at = position;
          for (Extent extent : extents) {
            ByteBuffer pages = ram.asSlice(extent.offset, extent.length).asByteBuffer();
            read(source, pages, at);
            if (checksum(pages) != extent.checksum) {
              throw SnapshotReader.damaged("memory at 0x%x has changed".formatted(extent.offset));
            }
            at += extent.length;
          }
        });
  }

  /** Fills the buffer, and readies it to be read. */
  private static void read(FileChannel source, ByteBuffer into, long position) throws IOException {
    for (long at = position; into.hasRemaining(); ) {
      int read = source.read(into, at);
      if (read < 0) {
        throw new EOFException("it ends within memory");
      }
      at += read;
    }
    into.flip();
  }

  private static int checksum(ByteBuffer bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  public void write(SnapshotWriter out) {
    out.list(extents, Extent::write);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @param bytes of RAM
   */
  public static RamImage read(SnapshotReader in, long bytes) {
    List<Extent> extents = in.list("pieces of memory", MOST_EXTENTS, Extent.SIZE, Extent::read);
    long end = 0;
    for (Extent extent : extents) {
      if (!extent.fits(end, bytes)) {
        throw SnapshotReader.damaged(extent + " is not within memory, or not in order");
      }
      end = extent.offset + extent.length;
    }
    return new RamImage(extents);
  }
}
