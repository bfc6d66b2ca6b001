package io.rund.kvm.virtio.fs;

import io.rund.kvm.fs.AttributeChange;
import io.rund.kvm.fs.Attributes;
import io.rund.kvm.fs.Caller;
import io.rund.kvm.fs.Entry;
import io.rund.kvm.fs.FsStatistics;
import io.rund.kvm.fs.Name;
import io.rund.kvm.fs.Text;
import io.rund.kvm.fs.WorkerCredentials;
import io.rund.kvm.memory.IoVector;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What a thread needs to serve one request after the other without allocating. */
final class FsScratch {
  private static final ThreadLocal<FsScratch> SCRATCH = ThreadLocal.withInitial(FsScratch::new);

  /** The longest answer that is not data of a file: XATTR_SIZE_MAX, and as much of a folder. */
  static final int ANSWER = 64 * 1024;

  final Arguments arguments = new Arguments();

  /** An answer, its header included. */
  final MemorySegment answer = Arena.ofAuto().allocate((long) Wire.OUT_HEADER + ANSWER, Long.BYTES);

  final IoVector vector = new IoVector(FsDevice.QUEUE_SIZE);
  final Name name = new Name();
  final Name secondName = new Name();
  final Text text = new Text();
  final Caller caller = new Caller();
  final Entry entry = new Entry();
  final Attributes attributes = new Attributes();
  final AttributeChange change = new AttributeChange();
  final FsStatistics statistics = new FsStatistics();
  final DirectoryAnswer directory = new DirectoryAnswer(this);

  private FsScratch() {
    WorkerCredentials.prepareThread();
  }

  /**
   * The calling thread's.
   *
   * @throws io.rund.core.error.RundException if the thread cannot act for a guest's users
   */
  static FsScratch get() {
    return SCRATCH.get();
  }
}
