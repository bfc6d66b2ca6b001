package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Libc;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Bind mounts of real files. Needs root. */
class BindMountTest {
  private final EventLoop loop = new EventLoop("bind-test");
  private final FakeSandbox vm = new FakeSandbox(loop);
  private final HostFiles files = new HostFiles("web", Optional.empty());
  @TempDir Path bundle;

  @AfterEach
  void close() {
    files.close();
    vm.close();
    loop.close();
  }

  private ObjectNode adapt(String source, String options) {
    return adapt(source, "/data", options);
  }

  private ObjectNode adapt(String source, String destination, String options) {
    ObjectNode mount = new ObjectMapper().createObjectNode();
    mount.put("type", "bind").put("source", source).put("destination", destination);
    List.of(options.split(":")).forEach(mount.withArrayProperty("options")::add);
    BindMount.adapt(mount, bundle, files);
    return mount;
  }

  /** Gives everything to the VM, with some root file system. */
  private void give() {
    files.root(new RootFs.Disk(null, "ext4", List.of()));
    files.giveTo(vm);
  }

  private Path directory() throws IOException {
    return Files.createDirectory(bundle.resolve("data"));
  }

  @Test
  void aDirectoryAndAFileBecomeSharesWhoseOptionsTheGuestKeeps() throws IOException {
    Files.writeString(directory().resolve("file"), "content");
    ObjectNode folder = adapt(bundle + "/data", "rbind:ro:noexec:rprivate");
    assertEquals("/run/rund/.shares/web-mount-0", folder.path("source").asText());
    assertEquals("[\"rbind\",\"ro\",\"noexec\",\"rprivate\"]", folder.path("options").toString());
    adapt(bundle + "/data/file", "bind:rw:cache=none");
    adapt("data", "bind"); // relative to the bundle
    give();
    assertEquals(
        List.of("web-mount-0 ro AUTO", "web-mount-1 rw NONE", "web-mount-2 rw AUTO"), vm.shares);
    assertEquals("content", Files.readString(vm.shared("web-mount-0").resolve("file")));
    assertThrows(
        FileSystemException.class, () -> Files.createFile(vm.shared("web-mount-0").resolve("new")));
    Files.writeString(vm.shared("web-mount-1"), "changed");
    assertEquals("changed", Files.readString(bundle.resolve("data/file")));
    assertEquals(List.of("web-mount-0", "web-mount-1", "web-mount-2"), files.shareNames());
  }

  @Test
  void onlySlaveSeesWhatIsMountedLater() throws IOException {
    Path below = Files.createDirectory(directory().resolve("below"));
    adapt(bundle + "/data", "rbind:rslave");
    adapt(bundle + "/data", "rbind:rprivate");
    give();
    Libc.mount("tmpfs", below.toString(), "tmpfs", 0, null);
    try {
      Files.createFile(below.resolve("file"));
      assertTrue(Files.exists(vm.shared("web-mount-0").resolve("below/file")));
      assertFalse(Files.exists(vm.shared("web-mount-1").resolve("below/file")));
    } finally {
      Libc.umount2(below.toString(), 2);
    }
  }

  @Test
  void thePodsSharedMemoryIsATmpfsOfItsSize() throws IOException {
    Path shm = directory();
    Libc.mount("shm", shm.toString(), "tmpfs", 0, "size=1m");
    try {
      ObjectNode mount = adapt(shm.toString(), "/dev/shm", "rbind:rw");
      assertEquals("tmpfs", mount.path("type").asText());
      assertTrue(mount.path("options").toString().contains("\"size=1048576\""), mount.toString());
    } finally {
      Libc.umount2(shm.toString(), 2);
    }
  }

  @Test
  void theNullDeviceIsTheGuests() {
    assertEquals("/dev/null", adapt("/dev/null", "bind").path("source").asText());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/no/such | rbind | cannot open /no/such: [2] No such file or directory",
        "/proc | rbind:ro | it shows the host's kernel (/proc)",
        "/proc/self/status | bind | it shows the host's kernel (/proc)",
        "/sys/block | bind | it shows the host's kernel (/sys)",
        "/dev | rbind | it shows the host's kernel (/dev)",
        "/dev/shm | rbind | it is the host's shared memory",
        "/dev/tty | bind | it is a device of the host (5:0)",
        "/etc | rbind:rshared | use \"rslave\"",
        "/etc | bind:cache=maybe | option cache=maybe is none of",
      })
  void whatAVmCannotGiveIsRefusedWithTheReason(String source, String options, String reason) {
    RundException e = assertThrows(RundException.class, () -> adapt(source, options));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    assertTrue(
        e.getMessage().startsWith("bind mount of " + source + " at /data: "), e.getMessage());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  @Test
  void socketsAndFifosAreOfOneKernel() throws Exception {
    Path socket = bundle.resolve("socket");
    try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      server.bind(UnixDomainSocketAddress.of(socket));
    }
    RundException e = assertThrows(RundException.class, () -> adapt(socket.toString(), "bind"));
    assertTrue(e.getMessage().contains("it is a socket"), e.getMessage());
    String fifo = bundle.resolve("fifo").toString();
    assertEquals(0, new ProcessBuilder("mkfifo", fifo).start().waitFor());
    e = assertThrows(RundException.class, () -> adapt(fifo, "bind"));
    assertTrue(e.getMessage().contains("it is a FIFO"), e.getMessage());
  }
}
