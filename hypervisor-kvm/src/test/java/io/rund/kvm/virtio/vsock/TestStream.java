package io.rund.kvm.virtio.vsock;

import io.rund.core.hypervisor.VsockStream;
import io.rund.kvm.virtio.GuestDriver;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** A user of streams that reads all there is, unless told to wait, and counts what it is told. */
final class TestStream implements VsockStream.Handler, Consumer<VsockStream> {
  private final GuestDriver driver;
  private final ByteArrayOutputStream received = new ByteArrayOutputStream();
  final AtomicInteger accepted = new AtomicInteger();
  final AtomicInteger writable = new AtomicInteger();
  final AtomicInteger closed = new AtomicInteger();
  volatile boolean reading = true;
  volatile boolean ended;

  /** What is read is thrown away. */
  volatile boolean forget;

  /** Written for every piece that is read. */
  volatile byte[] answer;

  private final ByteBuffer buffer = ByteBuffer.allocate(10_000);
  volatile RuntimeException failure;
  volatile VsockStream stream;

  TestStream(GuestDriver driver) {
    this.driver = driver;
  }

  @Override
  public void accept(VsockStream accepted) {
    this.accepted.incrementAndGet();
    stream = accepted;
    accepted.handler(this);
  }

  @Override
  public void readable() {
    if (failure != null) {
      throw failure;
    }
    if (reading) {
      drain();
    }
  }

  private void drain() {
    buffer.clear();
    for (int n = stream.read(buffer); n != 0; n = stream.read(buffer)) {
      if (n < 0) {
        ended = true;
        return;
      }
      if (!forget) {
        received.write(buffer.array(), 0, n);
      }
      buffer.clear();
      if (answer != null) {
        stream.write(ByteBuffer.wrap(answer));
      }
    }
  }

  @Override
  public void writable() {
    writable.incrementAndGet();
  }

  @Override
  public void closed() {
    closed.incrementAndGet();
  }

  /** Reads all there is, and from now on. */
  void resume() {
    reading = true;
    driver.onLoop(this::drain);
  }

  int write(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    int[] taken = new int[1];
    driver.onLoop(() -> taken[0] = stream.write(buffer));
    if (buffer.position() != taken[0]) {
      throw new AssertionError("took " + taken[0] + " bytes, position " + buffer.position());
    }
    return taken[0];
  }

  void close() {
    driver.onLoop(() -> stream.close());
    driver.settle();
  }

  /** Takes what was received so far. */
  byte[] take() {
    byte[][] bytes = new byte[1][];
    driver.onLoop(
        () -> {
          bytes[0] = received.toByteArray();
          received.reset();
        });
    return bytes[0];
  }
}
