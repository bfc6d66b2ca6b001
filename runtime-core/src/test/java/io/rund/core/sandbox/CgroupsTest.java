package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CgroupsTest {
  @ParameterizedTest
  @CsvSource({
    "/default/web, default/web",
    "kubepods-burstable-pod12_3.slice:cri-containerd:abc, kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-abc.scope",
    "kubepods.slice::abc, kubepods.slice/abc.scope",
    ":nerdctl:abc, system.slice/nerdctl-abc.scope",
    "-.slice:cri:abc, cri-abc.scope",
    "/../outside, ''",
    "a.slice:..:/../../../outside, ''",
    "relative, ''",
    "/, ''",
  })
  void aPathIsADirectoryInTheTree(String cgroupsPath, String directory) {
    Path root = Path.of("/sys/fs/cgroup");
    assertEquals(
        Optional.of(directory).filter(d -> !d.isEmpty()).map(root::resolve),
        Cgroups.directory(root, cgroupsPath));
  }
}
