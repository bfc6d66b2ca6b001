package io.rund.kvm.fs;

import static io.rund.kvm.fs.FsFixture.memory;
import static io.rund.kvm.fs.FsFixture.name;
import static io.rund.kvm.fs.FsFixture.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Shares as the engine makes them: mounts of no namespace, that follow no link. */
class DetachedShareTest {
  @TempDir Path host;

  private FsFixture guest;
  private SharedFileSystem fs;

  @BeforeEach
  void mount() throws Exception {
    Path mount = Files.createDirectory(host.resolve("mount"));
    Files.createDirectory(host.resolve("empty"));
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", mount.toString());
    Files.createDirectory(mount.resolve("sub"));
    Files.writeString(mount.resolve("file"), "text");
    Files.createSymbolicLink(mount.resolve("link"), Path.of("file"));
    guest = new FsFixture(host.resolve("empty"));
    fs = guest.fs;
  }

  @AfterEach
  void unmount() throws Exception {
    guest.close();
    run("umount", "-l", host.resolve("mount").toString());
  }

  private long share(String name, boolean readOnlyMount) {
    try (Fd folder = Fd.open(host.toString(), Linux.O_PATH)) {
      DetachedMount clone = DetachedMount.of(folder, true, readOnlyMount);
      fs.add(new Share(name, clone.fd(), false, CachePolicy.AUTO));
      assertFalse(clone.fd().isOpen());
    }
    return guest.lookup(SharedFileSystem.ROOT, name);
  }

  @Test
  void whatIsMountedInItIsThereAndWorks() throws Exception {
    long top = share("clone", false);
    long mount = guest.lookup(top, "mount");
    assertTrue(guest.entry.submount());
    long file = guest.lookup(mount, "file");
    long handle = fs.open(file, Linux.O_RDWR, false);
    assertEquals("text", guest.read(handle, 0, 10));
    assertEquals(1, guest.write(handle, "T", 0));
    guest.change.clear().mode(0600).uid(1).size(3).modifyTime(1, 1);
    assertEquals(0, fs.setAttributes(file, -1, guest.change, guest.attributes));
    assertEquals("Tex", Files.readString(host.resolve("mount/file")));
    long link = guest.lookup(mount, "link");
    assertEquals(0, fs.setXattr(link, text("trusted.a"), memory("x"), 0, false));
    assertEquals(0, fs.link(link, mount, name("link2"), guest.entry));
    assertTrue(Files.isSymbolicLink(host.resolve("mount/link2")));
    guest.change.clear().uid(7).modifyTimeNow();
    assertEquals(0, fs.setAttributes(link, -1, guest.change, guest.attributes));
    long unnamed = fs.temporaryFile(guest.caller, mount, 0600, Linux.O_RDWR, guest.entry);
    assertTrue(unnamed >= 0);
    assertEquals(0, fs.link(guest.entry.node(), mount, name("named"), guest.entry));
    assertEquals(0, fs.syncFs(mount));
    assertEquals(7, guest.list(mount, 2).size());
  }

  @Test
  void theHostsKernelItselfKeepsAReadOnlyMount() {
    long top = share("clone", true);
    for (long folder : new long[] {top, guest.lookup(top, "mount")}) {
      int erofs = -Linux.EROFS;
      assertEquals(erofs, fs.makeDirectory(guest.caller, folder, name("new"), 0, guest.entry));
      assertEquals(
          erofs, fs.create(guest.caller, folder, name("new"), 0, Linux.O_RDWR, guest.entry));
      guest.change.clear().modifyTimeNow();
      assertEquals(erofs, fs.setAttributes(folder, -1, guest.change, guest.attributes));
    }
    long file = guest.lookup(guest.lookup(top, "mount"), "file");
    assertEquals(-Linux.EROFS, fs.open(file, Linux.O_RDWR, false));
    assertEquals("text", guest.read(fs.open(file, Linux.O_RDONLY, false), 0, 10));
  }

  @Test
  void whatIsMountedInItStaysWhenTheHostUnmountsIt() throws Exception {
    long top = share("clone", false);
    // The copy that the share has is all that is left of it.
    run("umount", host.resolve("mount").toString());
    assertTrue(guest.lookup(guest.lookup(top, "mount"), "file") > 0);
    fs.remove("clone");
    Path again = host.resolve("mount");
    run("mount", "-t", "tmpfs", "none", again.toString());
    assertEquals(-Linux.ESTALE, guest.lookup(top, "mount"));
  }

  private static void run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
  }
}
