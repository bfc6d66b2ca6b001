package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Templates that survive their engine: a file for each shape, at most a few, the one that was not
 * used for longest goes first. A file has no name before it is whole and on the disk, so an engine
 * that is killed leaves no half of one. Several engines may share the directory. What fails here is
 * logged and fails no sandbox. Safe for use by several threads.
 */
final class TemplateFiles {
  private static final Logger log = LoggerFactory.getLogger(TemplateFiles.class);
  private static final String SUFFIX = ".snapshot";

  /** Reads a template from a file. */
  interface Loader {
    VmTemplate load(FileChannel file) throws IOException;
  }

  private final Path directory;
  private volatile boolean usable;

  /**
   * @param directory this user's alone, made if it is not there; empty if nothing is to be kept
   */
  TemplateFiles(Optional<Path> directory) {
    this.directory = directory.orElse(null);
    this.usable = directory.isPresent() && isSafe(directory.get());
  }

  private static boolean isSafe(Path directory) {
    try {
      if (Files.exists(directory)) {
        OwnFiles.require(directory);
      }
      return true;
    } catch (IOException | RundException e) {
      log.warn("templates are not kept in {} (template_dir): {}", directory, e.getMessage());
      return false;
    }
  }

  /** Empty if there is none, or none that is of use: that one is gone then. */
  Optional<VmTemplate> load(TemplateShape shape, Loader loader) {
    if (!usable) {
      return Optional.empty();
    }
    Path path = path(shape);
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.empty();
    }
    VmTemplate template;
    try (FileChannel file =
        FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      OwnFiles.require(path);
      template = loader.load(file);
    } catch (IOException | RundException e) {
      log.warn("template {} is not used, the sandbox boots cold: {}", path, e.getMessage());
      if (!(e instanceof RundException r) || r.code() == ErrorCode.FAILED_PRECONDITION) {
        remove(shape);
      }
      return Optional.empty();
    }
    touch(path);
    log.info("sandboxes are clones of template {}", path);
    return Optional.of(template);
  }

  /** The files' times say which was not used for longest. */
  private static void touch(Path path) {
    try {
      Files.setLastModifiedTime(path, FileTime.from(Instant.now()));
    } catch (IOException e) {
      log.debug("the time of template {}", path, e); // gone, or not to be written
    }
  }

  /** Clones have been made of these, in this order, without a look at their files. */
  void used(List<TemplateShape> shapes) {
    if (usable) {
      shapes.forEach(shape -> touch(path(shape)));
    }
  }

  /** Takes its time. Nothing is kept if the shape's files have changed meanwhile. */
  void save(TemplateShape shape, VmTemplate template) {
    if (!usable) {
      return;
    }
    Path path = path(shape);
    try {
      var _ =
          Files.createDirectories(
              directory,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      int flags = Linux.O_TMPFILE | Linux.O_RDWR;
      try (Fd file = Fd.open(directory.toString(), flags);
          FileChannel channel = FileChannel.open(link(file), StandardOpenOption.WRITE)) {
        template.save(channel);
        channel.force(true);
        if (shape.isCurrent()) {
          publish(file, path);
        }
      }
      prune();
    } catch (IOException | LastErrorException | RundException e) {
      if (!Thread.currentThread().isInterrupted()) {
        log.warn("template {} is not kept: {}", path, e.getMessage());
      }
    }
  }

  private static Path link(Fd file) {
    return Path.of("/proc/self/fd/" + file.number());
  }

  /** Gives the file its name, in the place of another one. */
  private void publish(Fd file, Path path) throws IOException {
    Files.deleteIfExists(path);
    try (Arena arena = Arena.ofConfined();
        FileChannel folder = FileChannel.open(directory, StandardOpenOption.READ)) {
      long from = arena.allocateFrom(link(file).toString()).address();
      long to = arena.allocateFrom(path.toString()).address();
      int result =
          FileCalls.result(
              FileCalls.linkat(Linux.AT_FDCWD, from, Linux.AT_FDCWD, to, Linux.AT_SYMLINK_FOLLOW));
      // Another engine was faster: its template is as good.
      if (result < 0 && result != -Linux.EEXIST) {
        throw new IOException("linkat: errno " + -result);
      }
      folder.force(true);
    }
  }

  private void prune() throws IOException {
    try (Stream<Path> found = Files.list(directory)) {
      List<Path> files = found.filter(path -> path.toString().endsWith(SUFFIX)).toList();
      files.stream()
          .sorted(Comparator.comparing(TemplateFiles::lastUse).reversed())
          .skip(Templates.LIMIT)
          .forEach(this::remove);
    }
  }

  private static FileTime lastUse(Path path) {
    try {
      return Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS);
    } catch (IOException e) {
      return FileTime.fromMillis(0); // gone
    }
  }

  /** Nobody is to use this shape's template again. */
  void remove(TemplateShape shape) {
    if (usable) {
      remove(path(shape));
    }
  }

  private void remove(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // Or it would be refused again and again.
      usable = false;
      log.warn("template {} cannot be removed, none is used from now on: {}", path, e.toString());
    }
  }

  private Path path(TemplateShape shape) {
    return directory.resolve(shape.fileName() + SUFFIX);
  }
}
