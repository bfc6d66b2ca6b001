package io.rund.kvm.virtio.fs;

import io.rund.kvm.memory.GuestFault;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.IoVector;
import io.rund.kvm.virtio.DescriptorChain;
import java.lang.foreign.MemorySegment;

/**
 * One request as the driver offered it: struct fuse_in_header, copied once, and where in guest
 * memory arguments, answer and data are (virtio 1.2, 5.11.6.1). Framing is the driver's choice
 * (2.7.4): only the order of bytes counts. Belongs to the thread that serves it, and is used again.
 */
final class FsRequest {
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

  /** The next of those that nobody uses; the queue's. */
  FsRequest next;

  FsRequest(GuestMemory memory) {
    this.memory = memory;
  }

  /**
   * Reads a chain into this object.
   *
   * @param header scratch of {@link Wire#IN_HEADER} bytes
   * @throws GuestFault if there is no whole header, or no room for an answer that is due
   */
  void load(DescriptorChain chain, MemorySegment header) {
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
  boolean isWhole() {
    return declaredLength == readableBytes && extensions == 0;
  }

  int head() {
    return head;
  }

  int opcode() {
    return opcode;
  }

  long unique() {
    return unique;
  }

  long node() {
    return node;
  }

  int uid() {
    return uid;
  }

  int gid() {
    return gid;
  }

  int pid() {
    return pid;
  }

  /** Bytes that follow the request's header. */
  long argumentBytes() {
    return readableBytes - Wire.IN_HEADER;
  }

  /** Room that follows the answer's header. */
  long answerRoom() {
    return Math.max(0, writableBytes - Wire.OUT_HEADER);
  }

  long written() {
    return written;
  }

  void written(long bytes) {
    written = bytes;
  }

  /** Copies {@code length} bytes that follow the request's header; they must be there. */
  void copyArguments(MemorySegment dst, long length) {
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
  void copyAnswer(MemorySegment src, long length) {
    long done = 0;
    for (int i = readableEnd; done < length; i += 2) {
      long n = Math.min(length - done, pieces[i + 1]);
      memory.copyFrom(src, done, pieces[i], n);
      done += n;
    }
  }

  /** The host's view of the data of a WRITE: what follows header and arguments. */
  void dataToWrite(IoVector vector, long length) {
    fill(vector, 0, Wire.IN_HEADER + Opcode.WRITE.arguments(), length);
  }

  /** The host's view of where the data of a READ goes: what follows the answer's header. */
  void roomToRead(IoVector vector, long length) {
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
