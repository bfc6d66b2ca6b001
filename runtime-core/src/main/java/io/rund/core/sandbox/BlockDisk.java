package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * A root file system that is a block device of the host, as the devmapper snapshotter hands it
 * over.
 *
 * @param options of mount(8), for the guest
 */
record BlockDisk(Path path, String fsType, List<String> options) {
  private static final Set<String> DIRECTORY_MOUNTS =
      Set.of("overlay", "bind", "rbind", "none", "");

  /**
   * @throws RundException INVALID_ARGUMENT for root file systems of another kind, with what to use
   *     instead
   */
  static BlockDisk of(CreateRequest request) {
    if (request.rootfs().size() != 1
        || DIRECTORY_MOUNTS.contains(request.rootfs().getFirst().type())) {
      throw RundException.invalid(
          "the root file system of %s is made of directories (%s), which cannot be shared with the sandbox yet: use a snapshotter that makes block devices, such as devmapper (ctr run --snapshotter devmapper)"
              .formatted(request.id(), request.rootfs()));
    }
    CreateRequest.RootfsMount mount = request.rootfs().getFirst();
    return new BlockDisk(Path.of(mount.source()), mount.type(), mount.options());
  }

  boolean readOnly() {
    return options.contains("ro");
  }
}
