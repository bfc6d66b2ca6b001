package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.fs.FuseGuest.ints;
import static io.rund.kvm.virtio.fs.FuseGuest.longs;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.linux.Linux;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A mount in the guest goes on with another device. */
@Timeout(60)
class FsDeviceStateTest {
  @TempDir Path host;

  /** Once the last answer's thread has looked for the next request. */
  private static FsDeviceState state(FuseGuest guest) {
    FsDeviceState[] state = new FsDeviceState[1];
    guest.driver.awaitTrue(
        "the device is at rest",
        () -> {
          try {
            state[0] = guest.device.state();
            return true;
          } catch (RundException e) {
            assertEquals(ErrorCode.UNAVAILABLE, e.code());
            return false;
          }
        });
    SnapshotWriter out = new SnapshotWriter();
    FsDeviceState.write(state[0], out);
    assertEquals(state[0], FsDeviceState.read(new SnapshotReader(out.written())));
    return state[0];
  }

  @Test
  void mountGoesOnWithAnotherDevice() throws Exception {
    Files.writeString(host.resolve("file"), "text");
    FsDeviceState state;
    long handle;
    long node;
    try (FuseGuest guest = new FuseGuest()) {
      assertFalse(state(guest).mounted());
      guest.share("data", host, false, CachePolicy.AUTO);
      guest.mount();
      node = guest.walk("data", "file");
      handle = guest.open(node, Linux.O_RDWR).ok().handle();
      state = state(guest);
      assertTrue(state.mounted());
      assertTrue(state.longSetxattr());
    }
    try (FuseGuest guest = new FuseGuest()) {
      guest.share("data", host, false, CachePolicy.AUTO);
      guest.device.restore(state);
      assertEquals(4, guest.read(handle, 0, 10).ok().body().remaining());
      assertEquals(node, guest.walk("data", "file"));
      byte[] name = FuseGuest.text("user.a");
      guest.ask(FuseGuest.SETXATTR, node, 0, ints(1, 0, 0, 0), name, new byte[1]).ok();
      assertEquals(0, guest.release(handle));
      guest.forget(node, 2);
      assertEquals(-Linux.ESTALE, guest.ask(FuseGuest.GETATTR, node, 104, longs(0, 0)).error());
    }
  }

  @Test
  void requestThatIsOnlyOfferedIsUnderWay() {
    try (FuseGuest guest = new FuseGuest()) {
      guest.mount();
      FsDeviceState before = state(guest);
      FuseGuest.Slot slot = guest.new Slot();
      slot.offer(FuseGuest.GETATTR, 1, longs(0, 0));
      RundException refusal = assertThrows(RundException.class, guest.device::state);
      assertEquals(ErrorCode.UNAVAILABLE, refusal.code());
      guest.queue().kickIfWanted();
      guest.queue().take();
      assertEquals(before, state(guest));
    }
  }
}
