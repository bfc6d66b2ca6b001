package io.rund.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A Firecracker that boots what rund boots, with one vCPU and a vsock device. Source: its
 * docs/getting-started.md ("--config-file"), docs/vsock.md and src/firecracker/swagger.
 */
final class Firecracker {
  private static final int GUEST_CID = 3;

  private Firecracker() {}

  /**
   * Where what guests connect to on a port of the host's is to be listened on.
   *
   * @param folder that {@link #command} was given
   */
  static Path socket(Path folder, int port) {
    return folder.resolve("vsock_" + port);
  }

  /**
   * The command of one that is configured by a file and has no API.
   *
   * @param binary the program
   * @param folder where to put that file, and the vsock device its sockets
   */
  static List<String> command(
      String binary, Path folder, Path kernel, Path initramfs, int memoryMib) throws IOException {
    Path file = folder.resolve("firecracker.json");
    Map<String, Object> configuration =
        Map.of(
            "boot-source",
            Map.of(
                "kernel_image_path",
                kernel.toString(),
                "initrd_path",
                initramfs.toString(),
                "boot_args",
                QemuMicrovm.PARAMETERS),
            "drives",
            List.of(),
            "machine-config",
            Map.of("vcpu_count", 1, "mem_size_mib", memoryMib),
            "vsock",
            Map.of("guest_cid", GUEST_CID, "uds_path", folder.resolve("vsock").toString()));
    new ObjectMapper().writeValue(file.toFile(), configuration);
    return List.of(binary, "--no-api", "--config-file", file.toString());
  }
}
