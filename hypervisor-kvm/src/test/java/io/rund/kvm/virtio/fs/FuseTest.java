package io.rund.kvm.virtio.fs;

import static io.rund.kvm.virtio.fs.FuseGuest.ROOT;

import io.rund.core.hypervisor.CachePolicy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A folder of the host that is shared with a guest and mounted there. */
abstract class FuseTest {
  @TempDir Path folder;

  final FuseGuest guest = new FuseGuest();
  long share;

  @BeforeEach
  void mount() {
    guest.share("v", folder, false, CachePolicy.AUTO);
    guest.mount();
    share = guest.lookup(ROOT, "v");
  }

  @AfterEach
  void tearDown() {
    guest.close();
  }

  Path write(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }
}
