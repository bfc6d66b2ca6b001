package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.fs.FuseGuest.ROOT;
import static io.rund.kvm.virtio.fs.FuseGuest.ints;
import static io.rund.kvm.virtio.fs.FuseGuest.longs;
import static io.rund.kvm.virtio.fs.FuseGuest.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.kvm.virtio.DriverQueue;
import io.rund.kvm.virtio.fs.FuseGuest.Slot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Many requests at once, slow ones, resets in the middle, and requests that mean harm. */
@Timeout(120)
class FsLoadTest {
  @TempDir Path folder;

  /** A file whose opening waits until it is let go, as a slow disk would: fcntl(2), leases. */
  private static final class Leased implements AutoCloseable {
    private static final int F_SETSIG = 10;
    private static final int F_SETLEASE = 1024;
    private static final int F_WRLCK = 1;
    private static final int F_UNLCK = 2;

    /** What tells of somebody who waits; a process ignores it if it does not say otherwise. */
    private static final int SIGWINCH = 28;

    private final Fd fd;

    Leased(Path file) {
      fd = Fd.open(file.toString(), Linux.O_RDWR);
      Libc.fcntl(fd.number(), F_SETSIG, SIGWINCH);
      Libc.fcntl(fd.number(), F_SETLEASE, F_WRLCK);
    }

    @Override
    public void close() {
      Libc.fcntl(fd.number(), F_SETLEASE, F_UNLCK);
      fd.close();
    }
  }

  private FuseGuest guest() {
    FuseGuest guest = new FuseGuest();
    guest.share("v", folder, false, CachePolicy.AUTO);
    return guest.mount();
  }

  @Test
  void slowFileHoldsUpItsOwnRequestsOnly() throws IOException {
    Path file = Files.writeString(folder.resolve("slow"), "slow");
    Files.writeString(folder.resolve("fast"), "fast");
    try (FuseGuest guest = guest();
        FuseGuest other = guest()) {
      long slow = guest.walk("v", "slow");
      long fast = guest.walk("v", "fast");
      Slot[] slots = new Slot[32];
      int before = guest.budget.used();
      try (Leased _ = new Leased(file)) {
        for (int i = 0; i < slots.length; i++) {
          slots[i] = guest.new Slot();
          slots[i].submit(FuseGuest.OPEN, slow, ints(Linux.O_RDWR, 0));
        }
        // All its threads wait; forgetting goes on, and so does everybody else.
        guest.forget(fast, 1);
        assertTrue(guest.budget.used() < before + slots.length);
        other.open(other.walk("v", "fast"), Linux.O_RDWR).ok();
        assertFalse(guest.queue().hasUsed());
      }
      for (int i = 0; i < slots.length; i++) {
        guest.queue().take();
      }
      for (Slot slot : slots) {
        assertEquals(0, slot.error());
      }
    }
  }

  /** The guest does not kick for each: whoever takes the first calls others for the rest. */
  @Test
  void whatComesWithASlowRequestInOneKickDoesNotWaitForIt() throws IOException {
    Path file = Files.writeString(folder.resolve("slow"), "slow");
    Files.writeString(folder.resolve("fast"), "fast");
    try (FuseGuest guest = guest()) {
      long slow = guest.walk("v", "slow");
      long fast = guest.walk("v", "fast");
      Slot[] slots = {guest.new Slot(), guest.new Slot(), guest.new Slot()};
      try (Leased _ = new Leased(file)) {
        slots[0].offer(FuseGuest.OPEN, slow, ints(Linux.O_RDWR, 0));
        slots[1].offer(FuseGuest.OPEN, fast, ints(Linux.O_RDWR, 0));
        slots[2].offer(FuseGuest.OPEN, fast, ints(Linux.O_RDWR, 0));
        guest.queue().kick();
        guest.queue().take();
        guest.queue().take();
        assertFalse(guest.queue().hasUsed());
      }
      guest.queue().take();
      for (Slot slot : slots) {
        assertEquals(0, slot.error());
      }
    }
  }

  @Test
  void unplugWaitsForWhatIsUnderWay() throws Exception {
    Path file = Files.writeString(folder.resolve("slow"), "slow");
    FuseGuest guest = guest();
    long slow = guest.walk("v", "slow");
    Slot slot = guest.new Slot();
    CompletableFuture<Void> unplugged;
    try (Leased _ = new Leased(file)) {
      slot.submit(FuseGuest.OPEN, slow, ints(Linux.O_RDWR, 0));
      guest.driver.awaitTrue("the request is begun", guest.queue()::isBegun);
      unplugged = CompletableFuture.runAsync(guest.driver.transport::unplug);
      assertThrows(TimeoutException.class, () -> unplugged.get(100, TimeUnit.MILLISECONDS));
    }
    unplugged.get(30, TimeUnit.SECONDS);
    assertFalse(guest.queue().hasUsed());
    assertEquals(0, guest.budget.used());
    guest.close();
  }

  @Test
  void afterResetNothingTouchesMemoryAnyMore() throws IOException {
    Files.write(folder.resolve("file"), new byte[1 << 16]);
    try (FuseGuest guest = guest()) {
      Slot[] slots = new Slot[64];
      for (int i = 0; i < slots.length; i++) {
        slots[i] = guest.new Slot();
      }
      for (int round = 0; round < 50; round++) {
        long file = guest.walk("v", "file");
        long handle = guest.open(file, Linux.O_RDWR).ok().handle();
        for (int i = 0; i < slots.length; i++) {
          byte[] read = FuseGuest.readArguments(handle, 512L * i, 4096);
          slots[i].submit(FuseGuest.READ, file, read);
        }
        guest.driver.start();
        for (Slot slot : slots) {
          guest.driver.memory.slice(slot.out, 4096 + 16).fill((byte) 0x77);
        }
        guest.mount();
        for (Slot slot : slots) {
          assertEquals(
              -1,
              guest
                  .driver
                  .memory
                  .slice(slot.out, 4096 + 16)
                  .mismatch(guest.driver.memory.slice(slots[0].out, 4096 + 16)));
          assertEquals(0x77, guest.driver.memory.getByte(slot.out));
        }
      }
      assertFalse(guest.driver.isBroken());
    }
  }

  @Test
  void guestThatForgetsNothingHitsItsBound() throws IOException {
    try (FuseGuest guest = guest()) {
      int bound = 1000;
      for (int i = 0; i < bound; i++) {
        Files.createFile(folder.resolve("f" + i));
      }
      long share = guest.lookup(ROOT, "v");
      int refused = 0;
      long last = 0;
      for (int i = 0; i < bound; i++) {
        FuseGuest.Answer answer = guest.ask(FuseGuest.LOOKUP, share, 128, text("f" + i));
        if (answer.error() == 0) {
          last = answer.node();
        } else {
          assertEquals(-Linux.ENFILE, answer.error());
          refused++;
        }
      }
      assertTrue(refused > 0);
      assertEquals(-Linux.ENFILE, guest.open(last, 0).error());
      guest.forget(last, 1);
      assertTrue(guest.lookup(share, "f0") != 0);
    }
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    }
  }

  @Test
  void nothingIsLeftOpen() throws Exception {
    cycle();
    long before = descriptors();
    for (int i = 0; i < 10; i++) {
      cycle();
    }
    // Threads and loops close their own descriptors a moment after they were told to end.
    for (int tries = 0; descriptors() > before && tries < 100; tries++) {
      Thread.sleep(100);
    }
    assertTrue(descriptors() <= before, () -> "more than the " + before + " before");
  }

  private void cycle() throws IOException {
    Files.writeString(folder.resolve("file"), "content");
    try (FuseGuest guest = guest()) {
      long share = guest.walk("v");
      long file = guest.lookup(share, "file");
      guest.open(file, Linux.O_RDWR).ok();
      guest.ask(FuseGuest.OPENDIR, share, 16, ints(0, 0)).ok();
      guest.ask(FuseGuest.CREATE, share, 144, ints(2, 0100600, 0, 0), text("made")).ok();
      guest.ask(FuseGuest.UNLINK, share, 0, text("made")).ok();
    }
  }

  @Test
  void hostileChainsBreakTheDeviceAndNothingElse() {
    try (FuseGuest guest = guest()) {
      byte[] header = guest.header(FuseGuest.GETATTR, 1, 16);
      long in = guest.driver.allocate(4096);
      guest.queue().put(in, FuseGuest.join(header, longs(0, 0)));
      DriverQueue.Buffer[][] chains = {
        {DriverQueue.readable(in, 56)},
        {DriverQueue.writable(in, 56)},
        {DriverQueue.readable(in, 56), DriverQueue.writable(guest.driver.memory.size(), 120)},
        {DriverQueue.readable(-8L, 56), DriverQueue.writable(in, 120)},
        {DriverQueue.readable(in, 0xffff_ffffL), DriverQueue.writable(in, 120)},
        {DriverQueue.readable(0xc000_0000L, 56), DriverQueue.writable(in, 120)},
        {DriverQueue.writable(in, 120), DriverQueue.readable(in, 56)},
      };
      for (DriverQueue.Buffer[] chain : chains) {
        guest.queue().submit(chain);
        guest.driver.awaitTrue("the device is broken", guest.driver::isBroken);
        guest.driver.start();
        guest.mount();
        guest.ask(FuseGuest.GETATTR, ROOT, 104, longs(0, 0)).ok();
      }
    }
  }

  /** Answers may lie on requests, on each other and on the rings: that is the guest's own loss. */
  @Test
  void randomRequestsHarmOnlyTheGuest() throws IOException {
    Path outside = Files.writeString(folder.resolve("outside"), "untouched");
    Path inside = Files.createDirectory(folder.resolve("inside"));
    Files.writeString(inside.resolve("file"), "content");
    Files.createDirectory(inside.resolve("sub"));
    Files.createSymbolicLink(inside.resolve("link"), Path.of("../outside"));
    try (FuseGuest guest = new FuseGuest()) {
      guest.share("v", inside, false, CachePolicy.ALWAYS);
      guest.share("ro", folder, true, CachePolicy.NONE);
      new FuseFuzzer(guest, new Random(5)).run(4000);
      guest.driver.start();
      guest.mount();
      guest.ask(FuseGuest.GETATTR, ROOT, 104, longs(0, 0)).ok();
    }
    assertEquals("untouched", Files.readString(outside));
  }
}
