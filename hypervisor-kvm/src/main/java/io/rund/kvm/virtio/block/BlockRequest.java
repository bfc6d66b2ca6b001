package io.rund.kvm.virtio.block;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.Offload;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * One request of a driver, checked (virtio 1.2, 5.2.6): what is to be done, or that it is refused.
 * Framing is the driver's choice (2.7.4): the first 16 readable bytes are the header, the last
 * writable byte is the status, and what lies between is data. Reused.
 */
abstract class BlockRequest extends Offload.Work<BlockRequest> {
  /** What to do; the refusals carry their answer. */
  enum Kind {
    READ,
    WRITE,
    FLUSH,
    GET_ID,
    DISCARD,
    WRITE_ZEROES,
    OUT_OF_RANGE,
    UNSUPPORTED
  }

  static final byte STATUS_OK = 0;
  static final byte STATUS_IO_ERROR = 1;
  static final byte STATUS_UNSUPPORTED = 2;

  static final int SECTOR_SHIFT = 9;

  /** The most sectors of one DISCARD or WRITE_ZEROES: 1 GiB. */
  static final int MAX_RANGE_SECTORS = 1 << 21;

  /**
   * The most bytes of one READ or WRITE: many times what Linux asks for at once
   * (BLK_DEF_MAX_SECTORS_CAP, 1.25 MiB), and little enough to be waited for when a sandbox ends.
   */
  static final int MAX_TRANSFER = 16 << 20;

  private static final int HEADER_SIZE = 16;
  private static final int RANGE_SIZE = 16;
  private static final int FLAG_UNMAP = 1;

  /** Bytes of the answer to GET_ID, padded with zeros (5.2.6). */
  private static final int ID_SIZE = 20;

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MemorySegment scratch = Arena.ofAuto().allocate(RANGE_SIZE, Long.BYTES);

  /** Where the data is in guest memory: pairs of address and length. */
  private long[] pieces = new long[8];

  private int pieceCount;
  private long statusAddress;

  Kind kind;
  int head;

  /** Byte range on the disk; for GET_ID the length of the answer. */
  long offset;

  long length;
  boolean unmap;

  /** The answer, set by whoever worked on it. */
  byte status;

  /**
   * Reads a chain into this object.
   *
   * @throws GuestFault if there is no header or no place for the status
   */
  void parse(DescriptorChain chain, long capacity, boolean readOnly) {
    if (chain.readableBytes() < HEADER_SIZE || chain.writableBytes() < 1) {
      throw new GuestFault("block request without header or status");
    }
    chain.read(0, scratch, 0, HEADER_SIZE);
    int type = scratch.get(INT, 0);
    long sector = scratch.get(LONG, 8);
    head = chain.head();
    pieceCount = 0;
    offset = 0;
    length = 0;
    unmap = false;
    locateStatus(chain);
    kind =
        switch (type) {
          case 0 -> transfer(Kind.READ, chain, sector, capacity);
          case 1 -> readOnly ? Kind.OUT_OF_RANGE : transfer(Kind.WRITE, chain, sector, capacity);
          case 4 -> Kind.FLUSH;
          case 8 -> identify(chain);
          case 11 -> readOnly ? Kind.UNSUPPORTED : range(Kind.DISCARD, chain, capacity);
          case 13 -> readOnly ? Kind.UNSUPPORTED : range(Kind.WRITE_ZEROES, chain, capacity);
          default -> Kind.UNSUPPORTED;
        };
  }

  private void locateStatus(DescriptorChain chain) {
    int last = chain.count() - 1;
    while (chain.length(last) == 0) {
      last--;
    }
    statusAddress = chain.address(last) + chain.length(last) - 1;
  }

  private Kind transfer(Kind direction, DescriptorChain chain, long sector, long capacity) {
    length =
        direction == Kind.READ
            ? collect(chain, chain.readable(), chain.count(), 0, chain.writableBytes() - 1)
            : collect(chain, 0, chain.readable(), HEADER_SIZE, chain.readableBytes() - HEADER_SIZE);
    return length <= MAX_TRANSFER
            && place(sector, length >>> SECTOR_SHIFT, capacity)
            && (length & ((1 << SECTOR_SHIFT) - 1)) == 0
        ? direction
        : Kind.OUT_OF_RANGE;
  }

  private Kind identify(DescriptorChain chain) {
    length = Math.min(chain.writableBytes() - 1, ID_SIZE);
    collect(chain, chain.readable(), chain.count(), 0, length);
    return Kind.GET_ID;
  }

  /** One struct virtio_blk_discard_write_zeroes; the configuration space allows no more. */
  private Kind range(Kind what, DescriptorChain chain, long capacity) {
    if (chain.readableBytes() != HEADER_SIZE + RANGE_SIZE) {
      return Kind.OUT_OF_RANGE;
    }
    chain.read(HEADER_SIZE, scratch, 0, RANGE_SIZE);
    long sectors = Integer.toUnsignedLong(scratch.get(INT, 8));
    int flags = scratch.get(INT, 12);
    if ((flags & ~(what == Kind.WRITE_ZEROES ? FLAG_UNMAP : 0)) != 0) {
      return Kind.UNSUPPORTED;
    }
    unmap = flags != 0;
    length = sectors << SECTOR_SHIFT;
    boolean allowed = sectors > 0 && sectors <= MAX_RANGE_SECTORS;
    return allowed && place(scratch.get(LONG, 0), sectors, capacity) ? what : Kind.OUT_OF_RANGE;
  }

  /** Sets {@link #offset}, and says whether the sectors from there on are all on the disk. */
  private boolean place(long sector, long sectors, long capacity) {
    long total = capacity >>> SECTOR_SHIFT;
    if (sector < 0 || sector > total || sectors > total - sector) {
      return false;
    }
    offset = sector << SECTOR_SHIFT;
    return true;
  }

  /** Whether the data is in no more pieces than its length explains. */
  boolean isCompact() {
    return pieceCount / 2 <= length / GuestMemory.PAGE_SIZE + 2;
  }

  /** Notes {@code bytes} of some buffers of the chain, after the first {@code skip}. */
  private long collect(DescriptorChain chain, int from, int to, long skip, long bytes) {
    if (pieces.length < 2 * (to - from)) {
      pieces = Arrays.copyOf(pieces, 2 * chain.count());
    }
    long ahead = skip;
    long left = bytes;
    for (int i = from; i < to && left > 0; i++) {
      long cut = Math.min(ahead, chain.length(i));
      ahead -= cut;
      long n = Math.min(chain.length(i) - cut, left);
      if (n > 0) {
        pieces[pieceCount++] = chain.address(i) + cut;
        pieces[pieceCount++] = n;
        left -= n;
      }
    }
    return bytes;
  }

  /** The data as the host sees it. */
  void fill(IoVector vector, GuestMemory memory) {
    vector.clear();
    for (int i = 0; i < pieceCount; i += 2) {
      vector.add(memory.hostAddress(pieces[i], pieces[i + 1]), pieces[i + 1]);
    }
  }

  /** Writes the disk's name as the answer to GET_ID. */
  void identify(GuestMemory memory, byte[] id) {
    int done = 0;
    for (int i = 0; i < pieceCount; i += 2) {
      for (long at = 0; at < pieces[i + 1]; at++, done++) {
        memory.putByte(pieces[i] + at, done < id.length ? id[done] : 0);
      }
    }
  }

  /** Writes the status byte; returns how many bytes of the chain the device has written. */
  long answer(GuestMemory memory) {
    memory.putByte(statusAddress, status);
    boolean dataWritten = status == STATUS_OK && (kind == Kind.READ || kind == Kind.GET_ID);
    return dataWritten ? length + 1 : 1;
  }
}
