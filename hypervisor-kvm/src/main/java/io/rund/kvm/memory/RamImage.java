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

  /** Looks through a template. */
  public static RamImage of(RamTemplate ram) throws IOException {
    return of(ram, most(ram.bytes()));
  }

  /** How many pieces a file may have: one of each chunk at least. */
  private static int most(long bytes) {
    return Math.toIntExact(Math.max(MOST_EXTENTS, Math.ceilDiv(bytes, RamTemplate.CHUNK)));
  }

  static RamImage of(RamTemplate ram, int most) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect((int) RamTemplate.CHUNK);
    List<Extent> extents = new ArrayList<>();
    try (Fd file = ram.open();
        FileChannel channel = channel(file)) {
      for (RamTemplate.Data piece : pieces(file, ram.bytes(), most)) {
        read(channel, buffer.clear().limit((int) piece.length()), piece.offset());
        extents.add(new Extent(piece.offset(), (int) piece.length(), checksum(buffer)));
      }
    }
    return new RamImage(List.copyOf(extents));
  }

  /** If there are too many, those with few zeros between them become one, with the zeros. */
  private static List<RamTemplate.Data> pieces(Fd file, long bytes, int most) {
    List<RamTemplate.Data> pieces = new ArrayList<>();
    long gap = 0;
    do {
      pieces.clear();
      for (RamTemplate.Data data : RamTemplate.data(file, bytes)) {
        RamTemplate.Data last = pieces.isEmpty() ? null : pieces.getLast();
        if (last != null && last.chunk() == data.chunk() && data.offset() - last.end() <= gap) {
          pieces.set(pieces.size() - 1, new RamTemplate.Data(last.offset(), data.end()));
        } else {
          pieces.add(data);
        }
      }
      gap = Math.max(GuestMemory.PAGE_SIZE, 2 * gap);
    } while (pieces.size() > most);
    return pieces;
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
    List<Extent> extents = in.list("pieces of memory", most(bytes), Extent.SIZE, Extent::read);
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
