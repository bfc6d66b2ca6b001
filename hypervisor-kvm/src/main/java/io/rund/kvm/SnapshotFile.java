package io.rund.kvm;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmConfig;
import io.rund.kvm.memory.GuestMemory;
import io.rund.kvm.memory.RamImage;
import io.rund.kvm.snapshot.SnapshotIdentity;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.zip.CRC32C;

/**
 * A machine's state in a file (docs/snapshot-format.md): a header with everything but the RAM, of
 * whole pages, and the RAM behind it. Every byte is under a checksum.
 */
final class SnapshotFile {
  private static final long MAGIC = 0x5041_4e53_444e_5552L; // "RUNDSNAP"

  /** To be raised with every change of what is written, or of what it means. */
  static final int VERSION = 2;

  private static final int VERSION_AT = 8;
  private static final int LENGTH_AT = 12;
  private static final int CHECKSUM_AT = 16;
  private static final int START = 20;
  private static final int MOST_HEADER = 32 << 20;

  private SnapshotFile() {}

  /**
   * @param file empty
   */
  static void save(MachineState state, SnapshotIdentity identity, FileChannel file)
      throws IOException {
    RamImage ram = RamImage.of(state.ram());
    SnapshotWriter out = new SnapshotWriter();
    identity.write(out);
    state.write(out);
    ram.write(out);
    ByteBuffer body = out.written();
    int length =
        Math.ceilDiv(START + body.remaining(), GuestMemory.PAGE_SIZE) * GuestMemory.PAGE_SIZE;
    if (length > MOST_HEADER) {
      throw RundException.precondition("the state of the machine takes %d bytes".formatted(length));
    }
    ByteBuffer header = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(MAGIC).putInt(VERSION).putInt(length).position(START).put(body);
    header.clear().putInt(CHECKSUM_AT, checksum(header));
    for (long at = 0; header.hasRemaining(); ) {
      at += file.write(header, at);
    }
    ram.save(state.ram(), file, length);
  }

  /**
   * Reads and checks all of it.
   *
   * @param here what it is to be of use for
   * @param slots of the machine
   * @throws RundException FAILED_PRECONDITION if it is damaged or not of use here,
   *     RESOURCE_EXHAUSTED if the host has no room for it
   */
  static MachineState load(FileChannel file, SnapshotIdentity here, VmConfig config, int slots)
      throws IOException {
    ByteBuffer header = header(file);
    SnapshotReader in = new SnapshotReader(header.position(START));
    SnapshotIdentity.read(in).require(here);
    MachineState.Unfinished state = MachineState.read(in, config.vcpus(), slots);
    RamImage ram = RamImage.read(in, config.memoryBytes());
    in.end();
    long expected = header.limit() + ram.length();
    if (file.size() != expected) {
      throw SnapshotReader.damaged(
          "it has %d bytes and should have %d".formatted(file.size(), expected));
    }
    return state.with(ram.load("rund-template", config.memoryBytes(), file, header.limit()));
  }

  private static ByteBuffer header(FileChannel file) throws IOException {
    ByteBuffer start = read(file, START);
    if (start.getLong(0) != MAGIC) {
      throw RundException.precondition("it is no snapshot of rund");
    }
    if (start.getInt(VERSION_AT) != VERSION) {
      throw RundException.precondition(
          "it is of version %d, this rund reads %d".formatted(start.getInt(VERSION_AT), VERSION));
    }
    int length = start.getInt(LENGTH_AT);
    if (length < START || length > MOST_HEADER || length % GuestMemory.PAGE_SIZE != 0) {
      throw SnapshotReader.damaged("its header has %d bytes".formatted(length));
    }
    ByteBuffer header = read(file, length);
    if (checksum(header) != header.getInt(CHECKSUM_AT)) {
      throw SnapshotReader.damaged("its header has changed");
    }
    return header;
  }

  /** The first bytes of the file, if it has as many. */
  private static ByteBuffer read(FileChannel file, int length) throws IOException {
    if (file.size() < length) {
      throw SnapshotReader.damaged("it has only %d bytes".formatted(file.size()));
    }
    ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      if (file.read(bytes, bytes.position()) < 0) {
        throw new EOFException("it becomes shorter");
      }
    }
    return bytes.flip();
  }

  /** Of a header, but for the place of the checksum itself. */
  private static int checksum(ByteBuffer header) {
    CRC32C crc = new CRC32C();
    crc.update(header.slice(0, CHECKSUM_AT));
    int behind = CHECKSUM_AT + Integer.BYTES;
    crc.update(header.slice(behind, header.limit() - behind));
    return (int) crc.getValue();
  }
}
