package io.rund.core.sandbox;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.sandbox.SnapshotDescription.Mount;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class SnapshotFolderTest {
  private static final byte[] SPECIFICATION = "{\"process\":{\"args\":[\"sh\"]}}".getBytes(UTF_8);

  private static final SnapshotDescription DESCRIPTION =
      new SnapshotDescription(
          SnapshotDescription.FORMAT,
          "default",
          "web",
          "web",
          2,
          256 << 20,
          true,
          List.of(4),
          new Mount("overlay", List.of("lowerdir=/l", "upperdir=/u", "workdir=/w")));

  @TempDir private Path parent;
  private Path target;

  /** A machine of ten bytes. */
  private record Text(String text) implements VmTemplate {
    @Override
    public VirtualMachine clone(String id) {
      throw new AssertionError("nobody clones it");
    }

    @Override
    public void save(FileChannel file) throws IOException {
      var _ = file.write(ByteBuffer.wrap(text.getBytes(US_ASCII)));
    }

    @Override
    public void close() {}
  }

  @BeforeEach
  void name() {
    target = parent.resolve("snapshot");
  }

  private void write() throws IOException {
    try (SnapshotFolder.Draft draft = SnapshotFolder.begin(target)) {
      draft.write(DESCRIPTION, SPECIFICATION);
      draft.write(new Text("a machine"));
      var _ = Files.createDirectory(draft.upper());
      draft.publish();
    }
  }

  @Test
  void whatWasWrittenIsRead() throws IOException {
    write();
    SnapshotFolder read = SnapshotFolder.open(target);
    assertEquals(DESCRIPTION, read.description());
    assertArrayEquals(SPECIFICATION, read.specification());
    assertTrue(Files.isDirectory(read.upper()));
    VmTemplate machine =
        read.machine(
            file -> {
              ByteBuffer bytes = ByteBuffer.allocate(20);
              var _ = file.read(bytes);
              return new Text(new String(bytes.array(), 0, bytes.position(), US_ASCII));
            });
    assertEquals(new Text("a machine"), machine);
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(target)));
  }

  @Test
  void whatIsNotPublishedIsGone() throws IOException {
    try (SnapshotFolder.Draft draft = SnapshotFolder.begin(target)) {
      draft.write(DESCRIPTION, SPECIFICATION);
      assertFalse(Files.exists(target));
    }
    try (var left = Files.list(parent)) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void whatIsThereIsNotTouched() throws IOException {
    write();
    refused(ErrorCode.ALREADY_EXISTS, "is there already", () -> SnapshotFolder.begin(target));
    refused(
        ErrorCode.INVALID_ARGUMENT,
        "no absolute path",
        () -> SnapshotFolder.begin(Path.of("snapshot")));
    Path second = parent.resolve("second");
    try (SnapshotFolder.Draft _ = SnapshotFolder.begin(second)) {
      refused(ErrorCode.ALREADY_EXISTS, "half written", () -> SnapshotFolder.begin(second));
    }
  }

  @Test
  void everyChangedByteOfDescriptionAndSpecificationIsFound() throws IOException {
    write();
    for (String name : List.of("sandbox.json", "config.json", "SHA256SUMS")) {
      Path file = target.resolve(name);
      byte[] whole = Files.readAllBytes(file);
      for (int at = 0; at < whole.length; at++) {
        byte[] changed = whole.clone();
        changed[at] ^= 1;
        Files.write(file, changed);
        refused(
            ErrorCode.FAILED_PRECONDITION, "has been changed", () -> SnapshotFolder.open(target));
      }
      Files.write(file, Arrays.copyOf(whole, whole.length - 1));
      refused(ErrorCode.FAILED_PRECONDITION, "has been changed", () -> SnapshotFolder.open(target));
      Files.delete(file);
      refused(ErrorCode.FAILED_PRECONDITION, name, () -> SnapshotFolder.open(target));
      Files.write(file, whole);
    }
    assertEquals(DESCRIPTION, SnapshotFolder.open(target).description());
  }

  @Test
  void aFileThatOthersCanWriteIsNotRead() throws IOException {
    write();
    for (String name : List.of("sandbox.json", "")) {
      Path path = target.resolve(name);
      var before = Files.getPosixFilePermissions(path);
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwxrwxrwx"));
      refused(
          ErrorCode.FAILED_PRECONDITION,
          "writable by nobody else",
          () -> SnapshotFolder.open(target));
      Files.setPosixFilePermissions(path, before);
    }
  }

  @Test
  void aDescriptionOfAnotherFormatIsNotRead() {
    byte[] json =
        new String(DESCRIPTION.json(), UTF_8)
            .replace("\"format\" : 1", "\"format\" : 2")
            .getBytes(UTF_8);
    refused(ErrorCode.FAILED_PRECONDITION, "format 2", () -> SnapshotDescription.read(json));
    for (String wrong : List.of("", "{}", "null", "[]", "{\"format\":1}")) {
      refused(
          ErrorCode.FAILED_PRECONDITION,
          "cannot be read",
          () -> SnapshotDescription.read(wrong.getBytes(UTF_8)));
    }
  }

  private static void refused(ErrorCode code, String words, Executable action) {
    RundException e = assertThrows(RundException.class, action);
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(e.getMessage().contains(words), e.getMessage());
  }
}
