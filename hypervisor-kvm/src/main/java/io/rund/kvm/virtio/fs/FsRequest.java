package io.rund.kvm.virtio.fs;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DescriptorChain;
import io.rund.kvm.virtio.Offload;
import java.lang.foreign.MemorySegment;

/**
 * One request as the driver offered it: struct fuse_in_header, copied once, and where in guest
 * memory arguments, answer and data are (virtio 1.2, 5.11.6.1). Framing is the driver's choice
 * (2.7.4): only the order of bytes counts. Belongs to the loop, then to a worker.
 */
abstract class FsRequest extends Offload.Work<FsRequest> {
  private final GuestMemory memory;

  /** Pairs of address and length: first the readable ones, then the writable ones. */
  private long[] pieces = new long[16];

  private int readableEnd;
  private int end;

  private int head;
  private long readableBytes;
  private long writableBytes;

  private long declaredLength;
  private int opcode;
  private long unique;
  private long node;
  private int uid;
  private int gid;
  private int pid;
  private int extensions;

  /** Bytes that were written to the driver's memory; set by who answers. */
  private long written;

  FsRequest(GuestMemory memory) {
    this.memory = memory;
  }

  /**
   * Reads a chain into this object.
   *
   * @param header scratch of {@link Wire#IN_HEADER} bytes
   * @throws GuestFault if there is no whole header, or no room for an answer that is due
   */
  final void load(DescriptorChain chain, MemorySegment header) {
    head = chain.head();
    written = 0;
    readableBytes = chain.readableBytes();
    writableBytes = chain.writableBytes();
    if (readableBytes < Wire.IN_HEADER) {
      throw new GuestFault("FUSE request of " + readableBytes + " bytes: no header");
    }
    chain.read(0, header, 0, Wire.IN_HEADER);
    declaredLength = Integer.toUnsignedLong(header.get(Wire.INT, 0));
    opcode = header.get(Wire.INT, 4);
    unique = header.get(Wire.LONG, 8);
    node = header.get(Wire.LONG, 16);
    uid = header.get(Wire.INT, 24);
    gid = header.get(Wire.INT, 28);
    pid = header.get(Wire.INT, 32);
    extensions = header.get(Wire.SHORT, 36);
    Opcode known = Opcode.of(opcode);
    if ((known == null || known.isAnswered()) && writableBytes < Wire.OUT_HEADER) {
      throw new GuestFault("FUSE request " + opcode + " with no room for an answer");
    }
    collect(chain);
  }

  private void collect(DescriptorChain chain) {
    if (pieces.length < 2 * chain.count()) {
      pieces = new long[2 * chain.count()];
    }
    end = 0;
    readableEnd = 0;
    for (int i = 0; i < chain.count(); i++) {
      if (chain.length(i) > 0) {
        pieces[end++] = chain.address(i);
        pieces[end++] = chain.length(i);
      }
      if (i + 1 == chain.readable()) {
        readableEnd = end;
      }
    }
  }

  /** Whether the header says what the chain has, and nothing that was not negotiated. */
  final boolean isWhole() {
    return declaredLength == readableBytes && extensions == 0;
  }

  final int head() {
    return head;
  }

  final int opcode() {
    return opcode;
  }

  final long unique() {
    return unique;
  }

  final long node() {
    return node;
  }

  final int uid() {
    return uid;
  }

  final int gid() {
    return gid;
  }

  final int pid() {
    return pid;
  }

  /** Bytes that follow the request's header. */
  final long argumentBytes() {
    return readableBytes - Wire.IN_HEADER;
  }

  /** Room that follows the answer's header. */
  final long answerRoom() {
    return Math.max(0, writableBytes - Wire.OUT_HEADER);
  }

  final long written() {
    return written;
  }

  final void written(long bytes) {
    written = bytes;
  }

  /** Copies {@code length} bytes that follow the request's header; they must be there. */
  final void copyArguments(MemorySegment dst, long length) {
    long done = 0;
    long skip = Wire.IN_HEADER;
    for (int i = 0; done < length; i += 2) {
      if (skip >= pieces[i + 1]) {
        skip -= pieces[i + 1];
        continue;
      }
      long n = Math.min(length - done, pieces[i + 1] - skip);
      memory.copyTo(pieces[i] + skip, dst, done, n);
      done += n;
      skip = 0;
    }
  }

  /** Copies {@code length} bytes to the beginning of the answer; the room must be there. */
  final void copyAnswer(MemorySegment src, long length) {
    long done = 0;
    for (int i = readableEnd; done < length; i += 2) {
      long n = Math.min(length - done, pieces[i + 1]);
      memory.copyFrom(src, done, pieces[i], n);
      done += n;
    }
  }

  /** The host's view of the data of a WRITE: what follows header and arguments. */
  final void dataToWrite(IoVector vector, long length) {
    fill(vector, 0, Wire.IN_HEADER + Opcode.WRITE.arguments(), length);
  }

  /** The host's view of where the data of a READ goes: what follows the answer's header. */
  final void roomToRead(IoVector vector, long length) {
    fill(vector, readableEnd, Wire.OUT_HEADER, length);
  }

  private void fill(IoVector vector, int from, long skip, long length) {
    vector.clear();
    long ahead = skip;
    long left = length;
    for (int i = from; left > 0; i += 2) {
      long cut = Math.min(ahead, pieces[i + 1]);
      ahead -= cut;
      long n = Math.min(pieces[i + 1] - cut, left);
      if (n > 0) {
        vector.add(memory.hostAddress(pieces[i] + cut, n), n);
        left -= n;
      }
    }
  }
}
