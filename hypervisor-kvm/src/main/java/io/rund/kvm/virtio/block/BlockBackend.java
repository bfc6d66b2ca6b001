package io.rund.kvm.virtio.block;

import io.rund.kvm.memory.IoVector;

/**
 * What a disk's bytes are. Transfers are called on threads of {@link IoPool}, several at once, and
 * may block; offsets and lengths were checked against {@link #capacity}. Each returns 0, or the
 * errno of what went wrong; EOPNOTSUPP tells the guest not to try that again.
 */
public interface BlockBackend extends AutoCloseable {
  /** Bytes, constant. */
  long capacity();

  /** Bytes of the unit in which the guest should read and write: a power of two from 512. */
  int blockSize();

  boolean readOnly();

  /** Names the backend in messages and is what the guest reads as the disk's serial number. */
  String name();

  /**
   * Fills {@code data} if that takes no wait for a disk, as for bytes that the host has in memory.
   * The one transfer that is called on the event loop, and only while no other is under way.
   * Returns EAGAIN if it cannot; part of {@code data} may then be filled.
   */
  int readNow(long offset, IoVector data);

  /** Fills {@code data} from {@code offset} on. May change {@code data}. */
  int read(long offset, IoVector data);

  /** Writes {@code data} to {@code offset} on. May change {@code data}. */
  int write(long offset, IoVector data);

  /** Returns when what was written before is on stable storage. */
  int flush();

  /** The bytes are of no further use; what reads of them give is undefined. */
  int discard(long offset, long length);

  /**
   * The bytes read as zero from now on.
   *
   * @param mayUnmap whether their space may be given back
   */
  int zero(long offset, long length, boolean mayUnmap);

  /** Called once, when no transfer is under way. */
  @Override
  void close();
}
