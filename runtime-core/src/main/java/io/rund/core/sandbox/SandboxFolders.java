package io.rund.core.sandbox;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder for each sandbox that rund has made by itself, where containerd has made none: its
 * specification and what it writes. A lock tells those of engines that live from those that were
 * left. Safe for use by several threads.
 */
final class SandboxFolders {
  private static final Logger log = LoggerFactory.getLogger(SandboxFolders.class);
  private static final FileAttribute<?> OURS =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
  private static final String LOCK = "lock";

  /** Far more than passes between a folder and its lock. */
  private static final Duration MAKING = Duration.ofMinutes(1);

  private final Path directory;

  /** Of this process, for which its own locks are none. */
  private final Set<Path> own = ConcurrentHashMap.newKeySet();

  SandboxFolders(Path directory) {
    this.directory = directory;
  }

  /** The folder of one sandbox, until it is closed. */
  final class Folder implements AutoCloseable {
    private final Path path;
    private final FileChannel lock;

    private Folder(Path path, FileChannel lock) {
      this.path = path;
      this.lock = lock;
    }

    Path path() {
      return path;
    }

    /** The upper directory of its root file system. */
    Path upper() {
      return path.resolve("upper");
    }

    Path work() {
      return path.resolve("work");
    }

    void write(String name, byte[] contents) {
      try {
        var _ = Files.write(path.resolve(name), contents);
      } catch (IOException e) {
        throw RundException.unavailable("cannot write to %s: %s".formatted(path, e), e);
      }
    }

    /** Removes it with all that is in it. */
    @Override
    public void close() {
      try (lock) {
        delete(path);
      } catch (IOException e) {
        log.warn(
            "the folder {} of a sandbox that has ended cannot be removed: {}", path, e.toString());
      } finally {
        own.remove(path);
      }
    }
  }

  /**
   * Makes the folder of a sandbox.
   *
   * @throws RundException ALREADY_EXISTS if there is one of that name
   */
  Folder make(String namespace, String id) {
    Path path = directory.resolve(namespace + ":" + id);
    if (!path.getParent().equals(directory)) {
      throw RundException.invalid("\"%s\" cannot be the id of a sandbox".formatted(id));
    }
    try {
      Files.createDirectories(directory, OURS);
      Files.createDirectory(path, OURS);
      own.add(path);
      Folder folder = new Folder(path, lock(path));
      try {
        if (folder.lock.tryLock() == null) {
          throw new IOException("somebody else has locked it");
        }
        var _ = Files.createDirectory(folder.work(), OURS);
      } catch (IOException e) {
        folder.close();
        throw e;
      }
      return folder;
    } catch (FileAlreadyExistsException e) {
      throw new RundException(
          ErrorCode.ALREADY_EXISTS, "there is a sandbox %s already: %s".formatted(id, path), e);
    } catch (IOException e) {
      own.remove(path);
      throw RundException.unavailable("cannot make the folder %s: %s".formatted(path, e), e);
    }
  }

  private static FileChannel lock(Path folder) throws IOException {
    try {
      return FileChannel.open(
          folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      Files.delete(folder);
      throw e;
    }
  }

  /** Removes the folders that engines have left which were killed. */
  void sweep() {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (Stream<Path> found = Files.list(directory)) {
      List<Path> folders = found.filter(path -> !own.contains(path)).toList();
      folders.forEach(SandboxFolders::sweep);
    } catch (IOException e) {
      log.warn("{} cannot be looked through for what was left there: {}", directory, e.toString());
    }
  }

  /** One that has no lock yet is just being made, or was when its engine was killed. */
  private static void sweep(Path folder) {
    try {
      Instant made = Files.getLastModifiedTime(folder).toInstant();
      if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
          && Files.notExists(folder.resolve(LOCK))
          && made.isBefore(Instant.now().minus(MAKING))) {
        Files.delete(folder);
        return;
      }
    } catch (IOException e) {
      log.debug("{} is left alone: {}", folder, e.toString());
      return;
    }
    try (FileChannel channel = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.WRITE);
        FileLock lock = channel.tryLock()) {
      if (lock != null) {
        delete(folder);
        log.info("removed {}, which an engine has left that was killed", folder);
      }
    } catch (IOException e) {
      log.debug("{} is left alone: {}", folder, e.toString());
    }
  }

  static void delete(Path tree) throws IOException {
    Files.walkFileTree(
        tree,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path folder, IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(folder);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
