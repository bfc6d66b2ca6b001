package io.rund.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot is of use for what it was made for. */
@Timeout(60)
class HostIdentityTest {
  @TempDir private Path folder;

  private VmConfig config(String kernel, int vcpus, int mebibytes, int slots) throws IOException {
    Path path = Files.writeString(folder.resolve(kernel), kernel);
    Path image = Files.writeString(folder.resolve("initramfs"), "image");
    return new VmConfig(
        "a", vcpus, (long) mebibytes << 20, path, image, "", slots, Optional.empty());
  }

  @Test
  void whatDiffersIsNamed() throws Exception {
    try (KvmHypervisor hypervisor = new KvmHypervisor()) {
      var here = hypervisor.identity(config("a", 1, 64, 16));
      hypervisor.identity(config("a", 1, 64, 16).withId("b")).require(here);
      assertEquals("guest kernel", difference(hypervisor, config("b", 1, 64, 16)));
      assertEquals("number of vCPUs", difference(hypervisor, config("a", 2, 64, 16)));
      assertEquals("size of memory", difference(hypervisor, config("a", 1, 65, 16)));
      assertEquals("kernel command line", difference(hypervisor, config("a", 1, 64, 17)));
      VmConfig same = config("a", 1, 64, 16);
      Files.writeString(folder.resolve("initramfs"), "imago");
      String message =
          assertThrows(RundException.class, () -> hypervisor.identity(same).require(here))
              .getMessage();
      assertTrue(message.startsWith("it was made for another guest image"), message);
    }
  }

  private String difference(KvmHypervisor hypervisor, VmConfig other) throws IOException {
    var there = hypervisor.identity(other);
    var here = hypervisor.identity(config("a", 1, 64, 16));
    String message = assertThrows(RundException.class, () -> there.require(here)).getMessage();
    return message.replaceAll("it was made for another ([^:]*).*", "$1");
  }
}
