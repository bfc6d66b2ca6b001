package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.linux.Fd;
import io.rund.core.linux.FileCalls;
import io.rund.core.linux.Linux;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A sandbox of one container in a folder (docs/snapshot-format.md). It has its name when it is
 * whole and on the disk; until then it is beside it, under the name with {@value #PARTIAL}.
 */
final class SnapshotFolder {
  private static final Logger log = LoggerFactory.getLogger(SnapshotFolder.class);

  static final String PARTIAL = ".partial";

  private static final String DESCRIPTION = "sandbox.json";
  private static final String SPECIFICATION = "config.json";
  private static final String MACHINE = "machine.snapshot";
  private static final String UPPER = "upper";

  /** In the form of sha256sum(1), for the two files before whose parts nobody else checks. */
  private static final String SUMS = "SHA256SUMS";

  /** Of files that are read as a whole. */
  private static final long LONGEST = 16 << 20;

  private final Path path;
  private final SnapshotDescription description;
  private final byte[] specification;

  private SnapshotFolder(Path path, SnapshotDescription description, byte[] specification) {
    this.path = path;
    this.description = description;
    this.specification = specification;
  }

  /** A folder that is being written; closed before it is published, it is gone. */
  static final class Draft implements AutoCloseable {
    private final Path path;
    private final Path target;
    private boolean published;

    private Draft(Path path, Path target) {
      this.path = path;
      this.target = target;
    }

    /** Where the writable layer is to be copied to. */
    Path upper() {
      return path.resolve(UPPER);
    }

    void write(SnapshotDescription description, byte[] specification) throws IOException {
      byte[] json = description.json();
      write(DESCRIPTION, json);
      write(SPECIFICATION, specification);
      write(SUMS, sums(json, specification).getBytes(StandardCharsets.US_ASCII));
    }

    private void write(String name, byte[] contents) throws IOException {
      try (FileChannel file = create(name)) {
        var _ = file.write(ByteBuffer.wrap(contents));
        file.force(true);
      }
    }

    void write(VmTemplate machine) throws IOException {
      try (FileChannel file = create(MACHINE)) {
        machine.save(file);
        file.force(true);
      }
    }

    private FileChannel create(String name) throws IOException {
      return FileChannel.open(
          path.resolve(name), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    /** Gives it its name, once all is on the disk. */
    void publish() throws IOException {
      sync(path);
      var _ = Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
      published = true;
      sync(target.getParent());
    }

    /** All that the file system has of the writable layer's copy too. */
    private static void sync(Path folder) throws IOException {
      try (Fd fd = Fd.open(folder.toString(), Linux.O_RDONLY | Linux.O_DIRECTORY)) {
        int result = FileCalls.result(FileCalls.syncfs(fd.number()));
        if (result < 0) {
          throw new IOException("syncfs of %s: errno %d".formatted(folder, -result));
        }
      } catch (LastErrorException e) {
        throw new IOException("cannot open " + folder, e);
      }
    }

    @Override
    public void close() {
      if (!published) {
        try {
          SandboxFolders.delete(path);
        } catch (IOException e) {
          log.warn("the unfinished snapshot {} cannot be removed: {}", path, e.toString());
        }
      }
    }
  }

  /**
   * Begins a folder.
   *
   * @param target its name; nothing of that name may be there
   * @throws RundException ALREADY_EXISTS
   */
  static Draft begin(Path target) throws IOException {
    if (!target.isAbsolute() || target.getFileName() == null) {
      throw RundException.invalid(
          "%s is no absolute path of a folder to be made".formatted(target));
    }
    if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      throw new RundException(
          ErrorCode.ALREADY_EXISTS, target + " is there already: name a folder that is not");
    }
    Path draft = target.resolveSibling(target.getFileName() + PARTIAL);
    try {
      var _ =
          Files.createDirectory(
              draft,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (FileAlreadyExistsException e) {
      throw new RundException(
          ErrorCode.ALREADY_EXISTS,
          "%s is there: another snapshot is being written, or was left half written; remove it"
              .formatted(draft),
          e);
    }
    return new Draft(draft, target);
  }

  /**
   * Opens a folder whose description and specification are whole.
   *
   * @throws RundException FAILED_PRECONDITION if they are not, or somebody else may have changed
   *     them
   */
  static SnapshotFolder open(Path path) {
    try {
      OwnFiles.require(path);
      byte[] json = read(path, DESCRIPTION);
      byte[] specification = read(path, SPECIFICATION);
      String sums = new String(read(path, SUMS), StandardCharsets.US_ASCII);
      if (!sums.equals(sums(json, specification))) {
        throw RundException.precondition("its " + SUMS + " say that it has been changed");
      }
      return new SnapshotFolder(path, SnapshotDescription.read(json), specification);
    } catch (NoSuchFileException e) {
      throw RundException.precondition(
          "%s is no snapshot: there is no %s".formatted(path, e.getFile()));
    } catch (IOException e) {
      throw RundException.precondition("snapshot %s cannot be read: %s".formatted(path, e));
    } catch (RundException e) {
      throw new RundException(e.code(), "snapshot %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  private static byte[] read(Path folder, String name) throws IOException {
    Path file = folder.resolve(name);
    OwnFiles.require(file);
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) > LONGEST) {
      throw RundException.precondition(name + " is no file of at most 16 MiB");
    }
    return Files.readAllBytes(file);
  }

  private static String sums(byte[] description, byte[] specification) {
    return "%s  %s\n%s  %s\n"
        .formatted(sha256(description), DESCRIPTION, sha256(specification), SPECIFICATION);
  }

  private static String sha256(byte[] contents) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(contents));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }

  SnapshotDescription description() {
    return description;
  }

  /** The container's config.json. */
  byte[] specification() {
    return specification;
  }

  /** The copy of the writable layer; there is none if the container had none. */
  Path upper() {
    return path.resolve(UPPER);
  }

  /** Reads something out of the file with the machine. */
  interface Loader {
    VmTemplate load(FileChannel file) throws IOException;
  }

  /**
   * The machine.
   *
   * @throws RundException FAILED_PRECONDITION if it is damaged, or of no use here
   */
  VmTemplate machine(Loader loader) {
    Path file = path.resolve(MACHINE);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      OwnFiles.require(file);
      return loader.load(channel);
    } catch (IOException e) {
      throw RundException.precondition("snapshot %s cannot be read: %s".formatted(file, e));
    } catch (RundException e) {
      throw new RundException(e.code(), "snapshot %s: %s".formatted(file, e.getMessage()), e);
    }
  }
}
