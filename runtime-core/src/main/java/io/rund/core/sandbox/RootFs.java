package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import java.nio.file.Path;
import java.util.List;

/** A container's root file system as the host has it, not yet given to a sandbox. */
sealed interface RootFs extends AutoCloseable {
  /**
   * A file system on a block device, as the devmapper snapshotter hands it over.
   *
   * @param options of mount(8), for the guest
   */
  record Disk(DiskConfig disk, String fsType, List<String> options) implements RootFs {
    @Override
    public void close() {}
  }

  /** A directory, such as the overlay of the default snapshotter. */
  record Directory(DetachedMount mount, boolean readOnly) implements RootFs {
    @Override
    public void close() {
      mount.close();
    }
  }

  @Override
  void close();

  /**
   * Opens what containerd asks for; without mounts, root.path of the specification.
   *
   * @throws RundException that names what cannot be opened or mounted
   */
  static RootFs open(CreateRequest request, OciSpec spec) {
    List<RootfsMount> mounts = request.rootfs();
    if (mounts.isEmpty()) {
      return directory(request.bundle().resolve(spec.rootPath()), true, false);
    }
    RootfsMount first = mounts.getFirst();
    if (mounts.size() > 1 || first.isOverlay()) {
      return RootMounts.mount(request);
    }
    if (first.isBind()) {
      return directory(Path.of(first.source()), first.isRecursive(), first.isReadOnly());
    }
    return new Disk(
        new DiskConfig(Path.of(first.source()), first.isReadOnly()), first.type(), first.options());
  }

  private static RootFs directory(Path path, boolean recursive, boolean readOnly) {
    try (Fd root = Fd.open(path.toString(), Linux.O_PATH | Linux.O_DIRECTORY)) {
      return new Directory(DetachedMount.of(root, recursive, readOnly), readOnly);
    } catch (LastErrorException e) {
      throw RundException.invalid(
          "cannot use the directory %s as root file system: %s".formatted(path, e.getMessage()));
    }
  }

  /** Where it comes from, for messages. */
  static String describe(CreateRequest request, OciSpec spec) {
    if (request.rootfs().isEmpty()) {
      return request.bundle().resolve(spec.rootPath()).toString();
    }
    RootfsMount last = request.rootfs().getLast();
    return last.isOverlay() ? "the overlay of " + request.bundle() : last.source();
  }
}
