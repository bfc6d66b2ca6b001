package io.rund.kvm.virtio.fs;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.kvm.fs.NodeBudget;
import io.rund.kvm.fs.SharedFileSystem;
import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.DriverQueue.Buffer;
import io.rund.kvm.virtio.GuestDriver;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The guest's end of a file system device: puts raw FUSE requests into its queues. */
final class FuseGuest implements AutoCloseable {
  static final int LOOKUP = 1;
  static final int FORGET = 2;
  static final int GETATTR = 3;
  static final int SETATTR = 4;
  static final int READLINK = 5;
  static final int SYMLINK = 6;
  static final int MKNOD = 8;
  static final int MKDIR = 9;
  static final int UNLINK = 10;
  static final int RMDIR = 11;
  static final int RENAME = 12;
  static final int LINK = 13;
  static final int OPEN = 14;
  static final int READ = 15;
  static final int WRITE = 16;
  static final int STATFS = 17;
  static final int RELEASE = 18;
  static final int FSYNC = 20;
  static final int SETXATTR = 21;
  static final int GETXATTR = 22;
  static final int LISTXATTR = 23;
  static final int REMOVEXATTR = 24;
  static final int FLUSH = 25;
  static final int INIT = 26;
  static final int OPENDIR = 27;
  static final int READDIR = 28;
  static final int RELEASEDIR = 29;
  static final int FSYNCDIR = 30;
  static final int CREATE = 35;
  static final int INTERRUPT = 36;
  static final int DESTROY = 38;
  static final int BATCH_FORGET = 42;
  static final int FALLOCATE = 43;
  static final int READDIRPLUS = 44;
  static final int RENAME2 = 45;
  static final int LSEEK = 46;
  static final int COPY_FILE_RANGE = 47;
  static final int SYNCFS = 50;
  static final int TMPFILE = 51;
  static final int STATX = 52;

  static final int HEADER = 40;
  static final int OUT_HEADER = 16;
  static final int ENTRY = 128;
  static final long ROOT = 1;

  /** Linux 6.12's fuse_send_init. */
  static final int KERNEL_FLAGS = 0x73ff_ffff & ~(1 << 26);

  static final int KERNEL_FLAGS2 = 0x1dd;

  private static final int ARGUMENTS = 1 << 18;
  private static final int ANSWER = (1 << 20) + 4096;

  /** What the device answered. The buffer has what follows the header. */
  record Answer(int error, int written, ByteBuffer body) {
    Answer ok() {
      assertEquals(0, error, "error of the answer");
      return this;
    }

    long node() {
      return body.getLong(0);
    }

    /** Of OPEN and OPENDIR. */
    long handle() {
      return body.getLong(0);
    }
  }

  final GuestDriver driver = new GuestDriver();
  final NodeBudget budget = new NodeBudget(2000, 1000);
  final SharedFileSystem fs = new SharedFileSystem("test", budget);
  final FsThreads threads = new FsThreads();
  final FsDevice device = new FsDevice(driver.memory, driver.loop, threads, Share.TAG, fs);
  private final long arguments;
  private final long answer;
  private long unique;
  int uid;
  int gid;

  FuseGuest() {
    driver.transport.plug(device);
    driver.start();
    arguments = driver.allocate(ARGUMENTS);
    answer = driver.allocate(ANSWER);
  }

  DriverQueue hiprio() {
    return driver.queue(0);
  }

  DriverQueue queue() {
    return driver.queue(1);
  }

  void share(String name, Path root, boolean readOnly, CachePolicy cache) {
    Fd fd = Fd.open(root.toString(), Linux.O_PATH);
    fs.add(new Share(name, fd, readOnly, cache));
  }

  /** A little-endian view. */
  static ByteBuffer view(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static byte[] text(String... texts) {
    return (String.join("\0", texts) + "\0").getBytes(StandardCharsets.UTF_8);
  }

  static byte[] ints(int... values) {
    byte[] bytes = new byte[4 * values.length];
    view(bytes).asIntBuffer().put(values);
    return bytes;
  }

  static byte[] longs(long... values) {
    byte[] bytes = new byte[8 * values.length];
    view(bytes).asLongBuffer().put(values);
    return bytes;
  }

  static byte[] join(byte[]... parts) {
    ByteArrayOutputStream joined = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      joined.writeBytes(part);
    }
    return joined.toByteArray();
  }

  byte[] header(int opcode, long node, int length) {
    byte[] bytes = new byte[HEADER];
    ByteBuffer b = view(bytes);
    b.putInt(HEADER + length).putInt(opcode).putLong(++unique).putLong(node);
    b.putInt(uid).putInt(gid).putInt(7).putInt(0);
    return bytes;
  }

  /** Sends a request in the shape that Linux gives it, and waits for the answer. */
  Answer ask(int opcode, long node, int room, byte[]... parts) {
    byte[] in = join(parts);
    return send(header(opcode, node, in.length), in, room);
  }

  Answer send(byte[] header, byte[] in, int room) {
    queue().put(arguments, header);
    queue().put(arguments + HEADER, in);
    driver.memory.slice(answer, OUT_HEADER + room).fill((byte) 0x55);
    if (in.length == 0) {
      queue()
          .submit(
              DriverQueue.readable(arguments, HEADER),
              DriverQueue.writable(answer, OUT_HEADER),
              DriverQueue.writable(answer + OUT_HEADER, room));
    } else {
      queue()
          .submit(
              DriverQueue.readable(arguments, HEADER),
              DriverQueue.readable(arguments + HEADER, in.length),
              DriverQueue.writable(answer, OUT_HEADER),
              DriverQueue.writable(answer + OUT_HEADER, room));
    }
    return answer(view(header).getLong(8), room);
  }

  private Answer answer(long expectedUnique, int room) {
    int written = queue().take().written();
    ByteBuffer out = view(queue().get(answer, OUT_HEADER + room));
    assertEquals(written, out.getInt(0), "length in the header");
    assertEquals(expectedUnique, out.getLong(8), "unique");
    int error = out.getInt(4);
    ByteBuffer body = out.slice(OUT_HEADER, written - OUT_HEADER).order(ByteOrder.LITTLE_ENDIAN);
    return new Answer(error, written, body);
  }

  /** Where a request and its answer are that nobody waits for yet. */
  final class Slot {
    private static final int HALF = 8192;
    final long in = driver.allocate(HALF);
    final long out = driver.allocate(HALF);

    /** Makes a request available; its answer has room for a page. */
    void submit(int opcode, long node, byte[]... parts) {
      offer(opcode, node, parts);
      queue().kickIfWanted();
    }

    /** Makes a request available without a kick. */
    void offer(int opcode, long node, byte[]... parts) {
      byte[] arguments = join(parts);
      byte[] request = join(header(opcode, node, arguments.length), arguments);
      queue().put(in, request);
      int head =
          queue()
              .chain(
                  DriverQueue.readable(in, request.length), DriverQueue.writable(out, 4096 + 16));
      queue().offer(head);
    }

    int error() {
      return driver.memory.getInt(out + 4);
    }
  }

  /** Sends a request that is not answered through the queue for them, and waits for its return. */
  void tell(int opcode, long node, byte[]... parts) {
    byte[] in = join(parts);
    Buffer buffer = hiprio().bytes(join(header(opcode, node, in.length), in));
    hiprio().submit(buffer);
    assertEquals(0, hiprio().take().written());
  }

  /** What Linux 6.12 sends first. */
  FuseGuest mount() {
    init(41, KERNEL_FLAGS, KERNEL_FLAGS2).ok();
    return this;
  }

  Answer init(int minor, int flags, int flags2) {
    return ask(
        INIT, 0, 64, ints(7, minor, 128 * 1024, flags, flags2), new byte[11 * Integer.BYTES]);
  }

  // What the guest's kernel does, in short.

  long lookup(long parent, String name) {
    return ask(LOOKUP, parent, ENTRY, text(name)).ok().node();
  }

  /** The node at the end of some names, from the root on. */
  long walk(String... names) {
    long node = ROOT;
    for (String name : names) {
      node = lookup(node, name);
    }
    return node;
  }

  int lookupError(long parent, String name) {
    return ask(LOOKUP, parent, ENTRY, text(name)).error();
  }

  Answer open(long node, int flags) {
    return ask(OPEN, node, 16, ints(flags, 0));
  }

  Answer read(long handle, long offset, int size) {
    return ask(READ, 0, size, readArguments(handle, offset, size));
  }

  static byte[] readArguments(long handle, long offset, int size) {
    return join(longs(handle, offset), ints(size, 0), longs(0), ints(0, 0));
  }

  Answer write(long handle, long offset, byte[] data) {
    return ask(WRITE, 0, 8, writeArguments(handle, offset, data.length, 0), data);
  }

  static byte[] writeArguments(long handle, long offset, int size, int openFlags) {
    return join(longs(handle, offset), ints(size, 0), longs(0), ints(openFlags, 0));
  }

  int release(long handle) {
    return ask(RELEASE, 0, 0, longs(handle), ints(0, 0), longs(0)).error();
  }

  void forget(long node, long count) {
    tell(FORGET, node, longs(count));
  }

  @Override
  public void close() {
    driver.close();
    threads.close();
  }
}
