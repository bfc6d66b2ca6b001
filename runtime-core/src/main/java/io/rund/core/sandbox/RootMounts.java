package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.error.RundException;
import io.rund.core.linux.DetachedMount;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Root file systems that take a mount(2): overlays, and several mounts one over the other. They are
 * mounted on the bundle's {@code rootfs}, copied, and unmounted at once: the copy is in no mount
 * namespace, so nothing of it is left if the engine is killed.
 */
final class RootMounts {
  private static final Logger log = LoggerFactory.getLogger(RootMounts.class);

  private static final int MS_RDONLY = 1;
  private static final int MS_REMOUNT = 32;
  private static final int MS_BIND = 4096;
  private static final int MS_REC = 16384;
  private static final int MNT_DETACH = 2;
  private static final int CLONE_FS = 0x200;

  /** What mount(2) takes as options: a page with the final zero; it cuts off the rest. */
  private static final int MAX_OPTIONS = 4095;

  private static final String LOWER = "lowerdir=";

  private RootMounts() {}

  static RootFs.Directory mount(CreateRequest request) {
    Path target = request.bundle().resolve("rootfs");
    int mounted = 0;
    try {
      Files.createDirectories(target);
      for (RootfsMount mount : request.rootfs()) {
        mount(mount, target);
        mounted++;
      }
      boolean readOnly = request.rootfs().getLast().isReadOnly();
      try (Fd root = Fd.openPath(target.toString())) {
        return new RootFs.Directory(DetachedMount.of(root, true, readOnly), readOnly);
      }
    } catch (LastErrorException | IOException e) {
      throw RundException.invalid(
          "cannot mount the root file system of %s on %s: %s"
              .formatted(request.id(), target, e.getMessage()));
    } finally {
      unmount(target, mounted);
    }
  }

  private static void mount(RootfsMount mount, Path target) {
    if (!mount.target().isEmpty()) {
      throw RundException.invalid(
          "the root file system has a mount of %s on a directory of its own, %s; only mounts of the whole root file system are possible"
              .formatted(mount.source(), mount.target()));
    }
    if (mount.isOverlay()) {
      mountOverlay(mount, target);
    } else if (mount.isBind()) {
      int bind = MS_BIND | (mount.isRecursive() ? MS_REC : 0);
      Libc.mount(mount.source(), target.toString(), null, bind, null);
      if (mount.isReadOnly()) {
        int remount = MS_BIND | MS_REMOUNT | MS_RDONLY;
        Libc.mount(null, target.toString(), null, remount, null);
      }
    } else {
      throw RundException.invalid(
          "the root file system has several mounts, one of them of %s (%s): a block device can only be the whole root file system"
              .formatted(mount.source(), mount.type()));
    }
  }

  private static void mountOverlay(RootfsMount mount, Path target) {
    int flags = mount.isReadOnly() ? MS_RDONLY : 0;
    List<String> options =
        mount.options().stream().filter(o -> !o.equals("ro") && !o.equals("rw")).toList();
    String data = String.join(",", options);
    if (bytes(data) <= MAX_OPTIONS) {
      Libc.mount(mount.source(), target.toString(), mount.type(), flags, data);
      return;
    }
    Path parent = commonParent(lowerDirectories(options));
    String shorter = String.join(",", relativeTo(parent, options));
    if (bytes(shorter) > MAX_OPTIONS) {
      throw RundException.invalid(
          "the root file system has %d layers, whose names take %d bytes as options of its overlay; the kernel takes %d: make an image of fewer layers, or use the devmapper snapshotter"
              .formatted(lowerDirectories(options).size(), bytes(shorter), MAX_OPTIONS));
    }
    in(parent, () -> Libc.mount(mount.source(), target.toString(), mount.type(), flags, shorter));
  }

  private static int bytes(String options) {
    return options.getBytes(StandardCharsets.UTF_8).length;
  }

  private static List<String> lowerDirectories(List<String> options) {
    return options.stream()
        .filter(option -> option.startsWith(LOWER))
        .flatMap(option -> List.of(option.substring(LOWER.length()).split(":")).stream())
        .toList();
  }

  /** The longest path that all begin with; "/" at worst. */
  static Path commonParent(List<String> paths) {
    Path common = Path.of(paths.getFirst()).getParent();
    for (String path : paths) {
      while (common != null && !Path.of(path).startsWith(common)) {
        common = common.getParent();
      }
    }
    return common == null ? Path.of("/") : common;
  }

  /** The options with lower directories relative to {@code parent}. */
  static List<String> relativeTo(Path parent, List<String> options) {
    List<String> relative = new ArrayList<>();
    for (String option : options) {
      if (option.startsWith(LOWER)) {
        List<String> names =
            lowerDirectories(List.of(option)).stream()
                .map(directory -> parent.relativize(Path.of(directory)).toString())
                .toList();
        relative.add(LOWER + String.join(":", names));
      } else {
        relative.add(option);
      }
    }
    return relative;
  }

  /** Runs a call with another working directory, on a thread that has one of its own. */
  private static void in(Path directory, Runnable call) {
    AtomicReference<RuntimeException> failure = new AtomicReference<>();
    Thread thread =
        Thread.ofPlatform()
            .name("mount")
            .start(
                () -> {
                  try {
                    Libc.unshare(CLONE_FS);
                    Libc.chdir(directory.toString());
                    call.run();
                  } catch (RuntimeException e) {
                    failure.set(e);
                  }
                });
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true; // the mount has to be known of before anybody leaves
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (failure.get() != null) {
      throw failure.get();
    }
  }

  private static void unmount(Path target, int count) {
    for (int i = 0; i < count; i++) {
      try {
        Libc.umount2(target.toString(), MNT_DETACH);
      } catch (LastErrorException e) {
        log.warn("cannot unmount {}: {}", target, e.getMessage());
      }
    }
  }
}
