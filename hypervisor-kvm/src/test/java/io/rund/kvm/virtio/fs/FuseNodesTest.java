package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.fs.FuseGuest.ENTRY;
import static io.rund.kvm.virtio.fs.FuseGuest.ROOT;
import static io.rund.kvm.virtio.fs.FuseGuest.ints;
import static io.rund.kvm.virtio.fs.FuseGuest.longs;
import static io.rund.kvm.virtio.fs.FuseGuest.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;
import io.rund.kvm.virtio.fs.FuseGuest.Answer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the guest may believe and hold of nodes and handles, and for how long. */
class FuseNodesTest extends FuseTest {
  @Test
  void cachePolicyBecomesTimesAndFlags() throws IOException {
    write("file", "hello");
    guest.share("none", folder, false, CachePolicy.NONE);
    guest.share("always", folder, false, CachePolicy.ALWAYS);
    int keep = 1 << 1;
    int direct = 1;
    int noFlush = 1 << 5;

    ByteBuffer none = guest.ask(FuseGuest.LOOKUP, guest.walk("none"), ENTRY, text("file")).body();
    assertEquals(0, none.getLong(16));
    assertEquals(0, none.getLong(24));
    int flags = guest.open(none.getLong(0), Linux.O_RDWR).ok().body().getInt(8);
    assertEquals(direct, flags & (direct | keep | noFlush));

    long root = guest.walk("always");
    ByteBuffer always = guest.ask(FuseGuest.LOOKUP, root, ENTRY, text("file")).body();
    assertTrue(always.getLong(16) >= 3600);
    assertTrue(always.getLong(24) >= 3600);
    flags = guest.open(always.getLong(0), Linux.O_RDWR).ok().body().getInt(8);
    assertEquals(keep | noFlush, flags & (direct | keep | noFlush));
    ByteBuffer missing = guest.ask(FuseGuest.LOOKUP, root, ENTRY, text("none")).ok().body();
    assertEquals(0, missing.getLong(0), "remembered as missing");
    assertTrue(missing.getLong(16) >= 3600);
    int directory = guest.ask(FuseGuest.OPENDIR, root, 16, ints(0, 0)).ok().body().getInt(8);
    assertEquals(keep | 1 << 3, directory);
  }

  @Test
  void cacheIsKeptFromOpenToOpenWhileNobodyWrites() throws IOException {
    Path file = write("file", "hello");
    long node = guest.lookup(share, "file");
    int keep = 1 << 1;
    // Times are coarse: what was written a moment ago might have been written again since.
    guest.driver.awaitTrue("the cache is kept", () -> (openFlags(node) & keep) != 0);
    Files.writeString(file, "changed");
    assertEquals(0, openFlags(node) & keep);
    guest.driver.awaitTrue("the cache is kept again", () -> (openFlags(node) & keep) != 0);
  }

  private int openFlags(long node) {
    Answer opened = guest.open(node, Linux.O_RDONLY).ok();
    assertEquals(0, guest.release(opened.handle()));
    return opened.body().getInt(8);
  }

  @Test
  void forgedNodesAndHandlesAreStale() throws IOException {
    write("file", "hello");
    long node = guest.lookup(share, "file");
    long handle = guest.open(node, Linux.O_RDWR).ok().handle();
    List<Long> forged = new ArrayList<>(List.of(0L, 2L, -1L, Long.MIN_VALUE, Long.MAX_VALUE));
    for (int bit = 0; bit < 64; bit += 7) {
      forged.add(node ^ 1L << bit);
    }
    for (long bad : forged) {
      if (bad == node || bad == share || bad == ROOT) {
        continue;
      }
      assertEquals(-Linux.ESTALE, guest.lookupError(bad, "file"), Long.toHexString(bad));
      assertEquals(-Linux.ESTALE, guest.open(bad, 0).error());
      assertEquals(-Linux.ESTALE, guest.ask(FuseGuest.GETATTR, bad, 104, longs(0, 0)).error());
    }
    for (int bit = 0; bit < 64; bit += 3) {
      assertEquals(-Linux.EBADF, guest.read(handle ^ 1L << bit, 0, 16).error(), "bit " + bit);
      assertEquals(-Linux.EBADF, guest.write(handle ^ 1L << bit, 0, new byte[1]).error());
    }
    guest.read(handle, 0, 16).ok();
  }

  @Test
  void forgottenNodesAreClosedAndStale() throws IOException {
    write("file", "hello");
    int before = guest.budget.used();
    long node = guest.lookup(share, "file");
    assertEquals(node, guest.lookup(share, "file"));
    assertTrue(guest.budget.used() > before);
    guest.forget(node, 1);
    guest.ask(FuseGuest.GETATTR, node, 104, longs(0, 0)).ok();
    guest.forget(node, 1);
    assertEquals(-Linux.ESTALE, guest.ask(FuseGuest.GETATTR, node, 104, longs(0, 0)).error());
    assertEquals(before, guest.budget.used());

    long again = guest.lookup(share, "file");
    guest.tell(FuseGuest.BATCH_FORGET, 0, ints(2, 0), longs(again, 1, 12345, 1));
    assertEquals(before, guest.budget.used());
  }

  @Test
  void unmountForgetsEverything() throws IOException {
    write("file", "hello");
    long node = guest.lookup(share, "file");
    long handle = guest.open(node, 0).ok().handle();
    assertTrue(guest.budget.used() >= 3);
    guest.ask(FuseGuest.DESTROY, 0, 0).ok();
    assertEquals(0, guest.budget.used());
    guest.mount();
    assertEquals(-Linux.EBADF, guest.read(handle, 0, 16).error());
    assertEquals(-Linux.ESTALE, guest.open(node, 0).error());
    long fresh = guest.walk("v", "file");
    guest.open(fresh, 0).ok();
    // A reset without an unmount: the next mount finds nothing either.
    guest.driver.start();
    guest.mount();
    assertEquals(0, guest.budget.used());
    assertEquals(-Linux.ESTALE, guest.open(fresh, 0).error());
  }

  @Test
  void removedShareIsGoneAtOnce() throws IOException {
    write("file", "hello");
    long node = guest.lookup(share, "file");
    long handle = guest.open(node, 0).ok().handle();
    guest.fs.remove("v");
    assertEquals(-Linux.ENOENT, guest.lookupError(ROOT, "v"));
    assertEquals(-Linux.ESTALE, guest.lookupError(share, "file"));
    assertEquals(-Linux.EBADF, guest.read(handle, 0, 16).error());
    assertFalse(guest.driver.isBroken());
  }
}
