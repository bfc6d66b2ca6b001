package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Saves sandboxes of one container, and goes on with them as sandboxes of rund's own. Safe for use
 * by several threads.
 */
final class Snapshots {
  private final SandboxBoot boot;
  private final ContainerMaker maker;
  private final SandboxFolders folders;

  Snapshots(SandboxBoot boot, ContainerMaker maker) {
    this.boot = boot;
    this.maker = maker;
    this.folders = new SandboxFolders(boot.config().sandboxDir());
  }

  /** Removes what killed engines have left. */
  void sweep() {
    folders.sweep();
  }

  /**
   * Writes a container that runs, and runs on, to a folder that is not there yet.
   *
   * @throws RundException that says why there can be none; nothing is left then
   */
  void save(Container container, Path target) {
    SnapshotDescription description = SnapshotDescription.of(container);
    try (SnapshotFolder.Draft draft = SnapshotFolder.begin(target)) {
      draft.write(description, specification(container));
      try (VmTemplate machine = take(container, draft.upper())) {
        draft.write(machine);
      }
      draft.publish();
    } catch (IOException e) {
      throw RundException.unavailable("cannot write the snapshot %s: %s".formatted(target, e), e);
    }
  }

  private static byte[] specification(Container container) {
    return OciSpec.read(container.request().bundle()).detached();
  }

  /** The container's machine, and a copy of its writable layer at the same moment. */
  private static VmTemplate take(Container container, Path upper) {
    Optional<Path> layer = WritableLayer.of(container.request().rootfs().getFirst());
    return container
        .sandbox()
        .vm()
        .snapshot(() -> layer.ifPresent(directory -> WritableLayer.copy(directory, upper)));
  }

  /**
   * Goes on with what is in a folder.
   *
   * @throws RundException FAILED_PRECONDITION if the folder is damaged or of no use here
   */
  Container restore(Path source, RestoredContainer made) {
    Timeline loading = new Timeline(System.nanoTime());
    SnapshotFolder snapshot = SnapshotFolder.open(source);
    SnapshotDescription description = snapshot.description();
    return make(
        description,
        snapshot.specification(),
        folder -> {
          if (Files.isDirectory(snapshot.upper())) {
            WritableLayer.copy(snapshot.upper(), folder.upper());
          }
          return snapshot.machine(file -> boot.load(description.size(), file, loading));
        },
        made);
  }

  /** Goes on with a container that runs, and runs on, in a second sandbox. */
  Container clone(Container container, RestoredContainer made) {
    return make(
        SnapshotDescription.of(container),
        specification(container),
        folder -> take(container, folder.upper()),
        made);
  }

  /** Fills a folder with a writable layer, and has the machine that belongs to it. */
  private interface Source {
    VmTemplate fill(SandboxFolders.Folder folder);
  }

  private Container make(
      SnapshotDescription description,
      byte[] specification,
      Source source,
      RestoredContainer made) {
    SandboxFolders.Folder folder = folders.make(made.namespace(), made.id());
    try (VmTemplate machine = source.fill(folder)) {
      folder.write("config.json", OciSpec.inNetwork(specification, made.network()));
      RootfsMount root =
          WritableLayer.replace(description.rootfs().toRequest(), folder.upper(), folder.work());
      StdioPaths stdio = made.stdio();
      CreateRequest request =
          new CreateRequest(
              made.namespace(),
              made.id(),
              folder.path(),
              List.of(root),
              new StdioPaths(
                  description.terminal(), stdio.stdin(), stdio.stdout(), stdio.stderr()));
      return maker.restore(request, description, machine, folder);
    } catch (Throwable e) {
      folder.close();
      throw e;
    }
  }
}
