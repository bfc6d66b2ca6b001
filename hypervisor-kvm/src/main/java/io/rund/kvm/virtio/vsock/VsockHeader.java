package io.rund.kvm.virtio.vsock;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** struct virtio_vsock_hdr (virtio 1.2, 5.10.6), in memory of its own. Reused. */
final class VsockHeader {
  static final int SIZE = 44;

  static final short TYPE_STREAM = 1;

  static final short REQUEST = 1;
  static final short RESPONSE = 2;
  static final short RST = 3;
  static final short SHUTDOWN = 4;
  static final short RW = 5;
  static final short CREDIT_UPDATE = 6;
  static final short CREDIT_REQUEST = 7;

  /** Flags of SHUTDOWN: the sender will receive, will send no more. */
  static final int SHUTDOWN_RECEIVE = 1;

  static final int SHUTDOWN_SEND = 2;
  static final int SHUTDOWN_BOTH = 3;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  final MemorySegment memory = Arena.ofAuto().allocate(SIZE, Long.BYTES);

  void set(long sourceCid, long destinationCid, int sourcePort, int destinationPort) {
    memory.set(LONG, 0, sourceCid);
    memory.set(LONG, 8, destinationCid);
    memory.set(INT, 16, sourcePort);
    memory.set(INT, 20, destinationPort);
    memory.set(SHORT, 28, TYPE_STREAM);
  }

  void operation(short operation, int flags, int length) {
    memory.set(INT, 24, length);
    memory.set(SHORT, 30, operation);
    memory.set(INT, 32, flags);
  }

  void credit(int bufferSize, int forwarded) {
    memory.set(INT, 36, bufferSize);
    memory.set(INT, 40, forwarded);
  }

  long sourceCid() {
    return memory.get(LONG, 0);
  }

  long destinationCid() {
    return memory.get(LONG, 8);
  }

  int sourcePort() {
    return memory.get(INT, 16);
  }

  int destinationPort() {
    return memory.get(INT, 20);
  }

  /** Bytes of data after the header, unsigned. */
  long length() {
    return Integer.toUnsignedLong(memory.get(INT, 24));
  }

  short type() {
    return memory.get(SHORT, 28);
  }

  short operation() {
    return memory.get(SHORT, 30);
  }

  int flags() {
    return memory.get(INT, 32);
  }

  /** Size of the sender's receive buffer, in bytes. */
  int bufferSize() {
    return memory.get(INT, 36);
  }

  /** How many bytes the sender has taken out of its receive buffer, modulo 2^32. */
  int forwarded() {
    return memory.get(INT, 40);
  }
}
