package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.DriverQueue.readable;
import static io.rund.kvm.virtio.DriverQueue.writable;
import static io.rund.kvm.virtio.fs.FuseGuest.ints;
import static io.rund.kvm.virtio.fs.FuseGuest.join;
import static io.rund.kvm.virtio.fs.FuseGuest.longs;
import static io.rund.kvm.virtio.fs.FuseGuest.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.linux.Linux;
import io.rund.kvm.virtio.fs.FuseGuest.Answer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the device makes of requests before they reach a file system, good ones and bad ones. */
class FsDeviceTest {
  private final FuseGuest guest = new FuseGuest();

  @AfterEach
  void tearDown() {
    guest.close();
  }

  @Test
  void configurationTellsTagAndQueues() {
    assertEquals(26, guest.driver.read(0x008));
    byte[] tag = new byte[4];
    for (int i = 0; i < tag.length; i++) {
      tag[i] = (byte) guest.driver.transport.read(0x100 + i, 1);
    }
    assertEquals("rund", new String(tag, StandardCharsets.US_ASCII));
    assertEquals(0, guest.driver.transport.read(0x104, 4));
    assertEquals(1, guest.driver.transport.read(0x124, 4));
    assertEquals(512, guest.queue().size());
  }

  @Test
  void initTakesWhatItKnowsOfTheKernelsOffer() {
    Answer answer = guest.init(41, FuseGuest.KERNEL_FLAGS, FuseGuest.KERNEL_FLAGS2).ok();
    ByteBuffer out = answer.body();
    assertEquals(64, out.remaining());
    assertEquals(7, out.getInt(0));
    assertEquals(39, out.getInt(4));
    assertEquals(128 * 1024, out.getInt(8));
    int flags = out.getInt(12);
    assertEquals(0, flags & ~FuseGuest.KERNEL_FLAGS);
    assertTrue((flags & 1 << 28) != 0, "HANDLE_KILLPRIV_V2");
    assertEquals(0, flags & (1 << 1 | 1 << 10 | 1 << 16), "no remote locks, no write-back cache");
    assertEquals(1 << 20, out.getInt(20));
    assertEquals(256, out.getShort(28));
    assertEquals(1 << 4, out.getInt(32), "DIRECT_IO_ALLOW_MMAP alone");
  }

  @Test
  void olderKernelsGetWhatTheyOffer() {
    Answer answer = guest.ask(FuseGuest.INIT, 0, 64, ints(7, 31, 4096, 1 << 5 | 1 << 22)).ok();
    assertEquals(31, answer.body().getInt(4));
    assertEquals(1 << 5 | 1 << 22, answer.body().getInt(12));
    assertEquals(-Linux.EPROTO, guest.init(30, 0, 0).error());
    assertEquals(-Linux.EPROTO, guest.ask(FuseGuest.INIT, 0, 64, ints(6, 50, 0, 0)).error());
  }

  @Test
  void newerMajorIsToldToAskAgain() {
    Answer answer = guest.ask(FuseGuest.INIT, 0, 64, ints(8, 0, 0, 0)).ok();
    assertEquals(7, answer.body().getInt(0));
    assertEquals(-Linux.EIO, guest.ask(FuseGuest.STATFS, 1, 80).error());
  }

  @Test
  void nothingIsServedBeforeInitAndAfterDestroy() {
    assertEquals(-Linux.EIO, guest.ask(FuseGuest.GETATTR, 1, 104, longs(0, 0)).error());
    guest.mount();
    guest.ask(FuseGuest.DESTROY, 0, 0).ok();
    assertEquals(-Linux.EIO, guest.ask(FuseGuest.GETATTR, 1, 104, longs(0, 0)).error());
    guest.mount();
  }

  @Test
  void unknownRequestsAreNotServed() {
    guest.mount();
    for (int opcode :
        new int[] {0, 7, 19, 31, 32, 33, 34, 37, 39, 40, 41, 48, 49, 53, 63, 64, -1}) {
      assertEquals(-Linux.ENOSYS, guest.ask(opcode, 1, 256, new byte[64]).error(), "" + opcode);
    }
    assertEquals(-Linux.ENOSYS, guest.ask(4096, 1, 256).error());
  }

  @Test
  void wrongLengthInTheHeaderIsRefused() {
    guest.mount();
    for (int wrong : new int[] {0, 39, 40, 41, 44, 46, Integer.MAX_VALUE, -1}) {
      byte[] header = guest.header(FuseGuest.LOOKUP, 1, 5);
      FuseGuest.view(header).putInt(0, wrong);
      assertEquals(-Linux.EINVAL, guest.send(header, text("name"), 128).error(), "" + wrong);
    }
  }

  @Test
  void extensionsThatWereNotNegotiatedAreRefused() {
    guest.mount();
    byte[] header = guest.header(FuseGuest.LOOKUP, 1, 5);
    header[36] = 1;
    assertEquals(-Linux.EINVAL, guest.send(header, text("name"), 128).error());
  }

  @Test
  void fixedArgumentsHaveOneSize() {
    guest.mount();
    for (Opcode opcode : Opcode.values()) {
      if (opcode.tail() != Opcode.Tail.NONE || !opcode.isAnswered()) {
        continue;
      }
      int size = opcode.arguments();
      byte[] longer = new byte[size + 1];
      assertEquals(-Linux.EINVAL, guest.ask(number(opcode), 1, 512, longer).error(), "" + opcode);
      if (size > 0) {
        byte[] shorter = new byte[size - 1];
        assertEquals(
            -Linux.EINVAL, guest.ask(number(opcode), 1, 512, shorter).error(), "" + opcode);
      }
    }
  }

  private static int number(Opcode opcode) {
    for (int i = 0; i < 64; i++) {
      if (Opcode.of(i) == opcode) {
        return i;
      }
    }
    throw new IllegalArgumentException(opcode.toString());
  }

  @Test
  void textsEndWithTheRequest() {
    guest.mount();
    for (byte[] bad :
        new byte[][] {
          {},
          {'a'},
          {0},
          {'a', 0, 0},
          {'a', 0, 'b'},
          {'a', 0, 'b', 0},
          text("."),
          text(".."),
          text("a/b"),
          text("/")
        }) {
      Answer answer = guest.ask(FuseGuest.LOOKUP, 1, 128, bad);
      assertEquals(-Linux.EINVAL, answer.error(), new String(bad, StandardCharsets.UTF_8));
    }
    assertEquals(
        -Linux.ENAMETOOLONG, guest.ask(FuseGuest.LOOKUP, 1, 128, text("a".repeat(256))).error());
    for (byte[] bad : new byte[][] {text("a"), {'a', 0, 'b'}, text("a", "b", "c")}) {
      assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.RENAME, 1, 0, longs(1), bad).error());
      assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.SYMLINK, 1, 128, bad).error());
    }
  }

  @Test
  void setxattrHasAsManyBytesAsItSays() {
    guest.mount();
    byte[] name = text("user.a");
    for (int size : new int[] {0, 3, 5, -1, Integer.MAX_VALUE}) {
      byte[] in = join(ints(size, 0, 0, 0), name, new byte[4]);
      assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.SETXATTR, 1, 0, in).error());
    }
    byte[] noText = join(ints(4, 0, 0, 0), new byte[] {'a', 'b', 'c', 'd'});
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.SETXATTR, 1, 0, noText).error());
    byte[] tooLong = join(ints(1 << 17, 0, 0, 0), name, new byte[1 << 17]);
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.SETXATTR, 1, 0, tooLong).error());
  }

  @Test
  void answerWithoutRoomIsNotBegun() {
    guest.mount();
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.LOOKUP, 1, 127, text("a")).error());
    assertEquals(
        -Linux.EINVAL, guest.ask(FuseGuest.CREATE, 1, 143, ints(0, 0, 0, 0), text("a")).error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.READ, 1, 99, read(0, 0, 100)).error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.READDIR, 1, 99, read(0, 0, 100)).error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.GETATTR, 1, 103, longs(0, 0)).error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.READLINK, 1, 0).error());
    assertEquals(
        -Linux.EINVAL, guest.ask(FuseGuest.GETXATTR, 1, 7, ints(0, 0), text("user.a")).error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.LISTXATTR, 1, 7, ints(8, 0)).error());
  }

  private static byte[] read(long handle, long offset, int size) {
    return join(longs(handle, offset), ints(size, 0), new byte[16]);
  }

  @Test
  void transfersHaveBounds() {
    guest.mount();
    int most = 1 << 20;
    Answer read = guest.ask(FuseGuest.READ, 1, most + 1, read(0, 0, most + 1));
    assertEquals(-Linux.EINVAL, read.error());
    assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.READ, 1, 64, read(0, -1, 64)).error());
    for (int size : new int[] {99, 101, -1}) {
      byte[] in = join(longs(0, 0), ints(size, 0), new byte[16], new byte[100]);
      assertEquals(-Linux.EINVAL, guest.ask(FuseGuest.WRITE, 1, 8, in).error());
    }
  }

  @Test
  void batchForgetHasAsManyEntriesAsItSays() {
    guest.mount();
    guest.tell(FuseGuest.BATCH_FORGET, 0, ints(2, 0), longs(5, 1, 6, 1));
    guest.tell(FuseGuest.BATCH_FORGET, 0, ints(-1, 0), longs(5, 1));
    guest.tell(FuseGuest.BATCH_FORGET, 0, ints(3, 0), longs(5, 1));
    guest.tell(FuseGuest.FORGET, 5, longs(Long.MAX_VALUE));
    guest.tell(FuseGuest.FORGET, 5);
    guest.tell(FuseGuest.INTERRUPT, 0, longs(77));
    assertTrue(!guest.driver.isBroken());
  }

  @Test
  void requestWithoutHeaderOrRoomForAnAnswerBreaksTheDevice() {
    long address = guest.driver.allocate(4096);
    guest.queue().submit(readable(address, 39), writable(address, 64));
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
    guest.driver.start();
    guest.queue().put(address, guest.header(FuseGuest.STATFS, 1, 0));
    guest.queue().submit(readable(address, 40), writable(address + 64, 15));
    guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
    guest.driver.start();
    guest.mount();
  }

  @Test
  void framingIsTheDriversChoice() {
    guest.mount();
    byte[] request = join(guest.header(FuseGuest.GETATTR, 1, 16), longs(0, 0));
    long in = guest.driver.allocate(4096);
    long out = guest.driver.allocate(4096);
    guest.queue().put(in, request);
    guest
        .queue()
        .submit(
            readable(in, 1),
            readable(in + 1, 0),
            readable(in + 1, 41),
            readable(in + 42, 14),
            writable(out, 0),
            writable(out, 3),
            writable(out + 3, 15),
            writable(out + 18, 200));
    int written = guest.queue().take().written();
    assertEquals(guest.driver.memory.getInt(out), written);
  }
}
