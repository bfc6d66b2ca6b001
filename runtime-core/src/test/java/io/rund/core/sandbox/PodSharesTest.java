package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.rund.core.hypervisor.CachePolicy;
import io.rund.core.hypervisor.Share;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PodSharesTest {
  private final EventLoop loop = new EventLoop("pod-shares-test");
  private final FakeSandbox vm = new FakeSandbox(loop);
  private final PodShares shares = new PodShares(vm);

  @AfterEach
  void close() {
    vm.close();
    loop.close();
  }

  private String take(String container, String path, long inode, boolean readOnly) {
    PodShares.Source source =
        new PodShares.Source(
            Path.of(path), new HostFile.DeviceNumber(8, 1), inode, true, false, CachePolicy.AUTO);
    return shares.take(source, readOnly, container, () -> Fd.openPath("/"));
  }

  @Test
  void whatTwoContainersMountIsOneShareUntilBothAreGone() {
    String first = take("a", "/srv/work", 7, false);
    assertEquals(first, take("b", "/srv/work", 7, false));
    assertEquals(List.of("a-shared-0 rw AUTO"), vm.shares);
    shares.giveBack(first);
    assertEquals(Set.of(first), vm.openShares());
    assertEquals(first, take("a", "/srv/work", 7, false));
    shares.giveBack(first);
    shares.giveBack(first);
    assertEquals(Set.of(), vm.openShares());
    assertNotEquals(first, take("a", "/srv/work", 7, false), "a name is not used again");
  }

  @Test
  void whatIsNotTheSameIsNotOneShare() {
    String first = take("a", "/srv/work", 7, false);
    assertNotEquals(first, take("b", "/srv/work", 8, false), "another directory of that path");
    assertNotEquals(first, take("b", "/srv/other", 7, false), "a mount with options of its own");
  }

  /** The host keeps what is read-only from being written, so it cannot become writable later. */
  @Test
  void aReaderSharesWithAWriterThatWasThereFirst() {
    String reader = take("a", "/srv/work", 7, true);
    String writer = take("b", "/srv/work", 7, false);
    assertNotEquals(reader, writer);
    assertEquals(writer, take("c", "/srv/work", 7, true));
    assertEquals(List.of("a-shared-0 ro AUTO", "b-shared-1 rw AUTO"), vm.shares);
  }

  @Test
  void aShareOfOneContainersOwnGoesAtOnce() {
    vm.share(new Share("a-rootfs", Fd.openPath("/"), false, CachePolicy.ALWAYS));
    shares.giveBack("a-rootfs");
    assertEquals(Set.of(), vm.openShares());
  }
}
