package io.rund.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.sys.KvmSystem;
import io.rund.kvm.sys.KvmVm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SpareVmsTest {
  private static long vmDescriptors() throws IOException {
    try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"))) {
      return fds.filter(SpareVmsTest::isVm).count();
    }
  }

  private static boolean isVm(Path fd) {
    try {
      return Files.readSymbolicLink(fd).toString().equals("anon_inode:kvm-vm");
    } catch (IOException e) {
      return false;
    }
  }

  private static void awaitSpares(SpareVms vms) throws InterruptedException {
    for (long end = System.nanoTime() + 30_000_000_000L; vms.pool().ready() < SpareVms.MOST; ) {
      assertTrue(System.nanoTime() < end, "no spare VMs");
      Thread.sleep(1);
    }
  }

  @Test
  void whoeverComesNextFindsOneAndNoneIsLeftAtTheEnd() throws Exception {
    long before = vmDescriptors();
    try (KvmSystem kvm = KvmSystem.open();
        SpareVms vms = new SpareVms(kvm)) {
      assertEquals(0, vms.pool().ready());
      vms.take().close();
      awaitSpares(vms);
      assertEquals(before + SpareVms.MOST, vmDescriptors());
      for (int i = 0; i < 3 * SpareVms.MOST; i++) {
        try (KvmVm vm = vms.take()) {
          vm.createVcpu(0).close();
        }
      }
      awaitSpares(vms);
      assertEquals(before + SpareVms.MOST, vmDescriptors());
    }
    assertEquals(before, vmDescriptors());
  }
}
