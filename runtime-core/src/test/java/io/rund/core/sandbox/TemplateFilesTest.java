package io.rund.core.sandbox;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemplateFilesTest {
  @TempDir private Path folder;
  private Path kernel;
  private Path directory;
  private TemplateFiles files;

  /** One that is a text, and does something when it is written. */
  private record Text(String text, Runnable whileWritten) implements VmTemplate {
    Text(String text) {
      this(text, () -> {});
    }

    static Text load(FileChannel file) throws IOException {
      ByteBuffer bytes = ByteBuffer.allocate((int) file.size());
      int _ = file.read(bytes);
      return new Text(new String(bytes.array(), UTF_8));
    }

    @Override
    public VirtualMachine clone(String id) {
      throw RundException.unavailable("there is no guest", null);
    }

    @Override
    public void save(FileChannel file) throws IOException {
      int _ = file.write(ByteBuffer.wrap(text.getBytes(UTF_8)));
      whileWritten.run();
    }

    @Override
    public void close() {}
  }

  @BeforeEach
  void write() throws IOException {
    kernel = Files.writeString(folder.resolve("vmlinux"), "kernel");
    directory = folder.resolve("lib/templates");
    files = new TemplateFiles(Optional.of(directory));
  }

  private TemplateShape shape(int vcpus) {
    return TemplateShape.of(
        new VmConfig("a", vcpus, 1 << 20, kernel, kernel, "", 16, Optional.empty()));
  }

  private static String load(TemplateFiles files, TemplateShape shape) {
    return files.load(shape, Text::load).map(template -> ((Text) template).text()).orElse("none");
  }

  private List<Path> names() throws IOException {
    if (!Files.exists(directory)) {
      return List.of();
    }
    try (Stream<Path> found = Files.list(directory)) {
      return found.toList();
    }
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  @Test
  void theNextEngineFindsWhatWasKept() throws Exception {
    assertEquals("none", load(files, shape(1)));
    files.save(shape(1), new Text("one"));
    TemplateFiles next = new TemplateFiles(Optional.of(directory));
    assertEquals("one", load(next, shape(1)));
    assertEquals("none", load(next, shape(2)));
    assertEquals("rwx------", mode(directory));
    assertEquals("rw-------", mode(names().getFirst()));
    next.save(shape(1), new Text("another"));
    assertEquals("another", load(files, shape(1)));
    next.remove(shape(1));
    assertEquals("none", load(files, shape(1)));
    assertEquals(List.of(), names());
  }

  @Test
  void aFileHasNoNameBeforeItIsWhole() throws Exception {
    List<Path> seen = new ArrayList<>();
    files.save(
        shape(1),
        new Text(
            "half",
            () -> {
              try {
                seen.addAll(names()); // what a kill would leave
              } catch (IOException e) {
                throw new AssertionError(e);
              }
              throw RundException.unavailable("the disk is full", null);
            }));
    assertEquals(List.of(), seen);
    assertEquals(List.of(), names());
    assertEquals("none", load(files, shape(1)));
  }

  @Test
  void nothingIsKeptOfFilesThatChangedMeanwhile() throws Exception {
    files.save(
        shape(1),
        new Text(
            "old",
            () -> {
              try {
                Files.writeString(kernel, "another kernel");
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            }));
    assertEquals(List.of(), names());
  }

  @Test
  void oneThatIsOfNoUseIsGoneAndOneThatCannotBeReadNowIsNot() throws Exception {
    files.save(shape(1), new Text("one"));
    assertEquals(
        Optional.empty(),
        files.load(
            shape(1),
            _ -> {
              throw RundException.unavailable("no KVM", null);
            }));
    assertEquals("one", load(files, shape(1)));
    assertEquals(
        Optional.empty(),
        files.load(
            shape(1),
            _ -> {
              throw RundException.precondition("another CPU");
            }));
    assertEquals(List.of(), names());
  }

  @Test
  void whatOthersCouldHaveWrittenIsRefused() throws Exception {
    files.save(shape(1), new Text("one"));
    Path file = names().getFirst();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw----"));
    assertEquals("none", load(files, shape(1)));
    assertFalse(Files.exists(file));

    Path elsewhere = Files.writeString(folder.resolve("elsewhere"), "one");
    Files.createSymbolicLink(file, elsewhere);
    assertEquals("none", load(files, shape(1)));
    assertTrue(Files.exists(elsewhere));

    files.save(shape(1), new Text("one"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    TemplateFiles next = new TemplateFiles(Optional.of(directory));
    assertEquals("none", load(next, shape(1)));
    next.save(shape(2), new Text("two"));
    assertEquals(1, names().size());
  }

  @Test
  void theOneThatWasNotUsedForLongestGoesFirst() throws Exception {
    for (int i = 1; i <= Templates.LIMIT; i++) {
      files.save(shape(i), new Text("old"));
    }
    for (Path file : names()) {
      Files.setLastModifiedTime(file, FileTime.fromMillis(1000));
    }
    for (int i = 1; i < Templates.LIMIT; i++) {
      assertEquals("old", load(files, shape(i)));
    }
    files.save(shape(Templates.LIMIT + 1), new Text("new"));
    assertEquals(Templates.LIMIT, names().size());
    assertEquals("none", load(files, shape(Templates.LIMIT)));
    assertEquals("new", load(files, shape(Templates.LIMIT + 1)));
  }

  @Test
  void withoutADirectoryNothingIsKept() {
    TemplateFiles none = new TemplateFiles(Optional.empty());
    none.save(shape(1), new Text("one"));
    assertEquals("none", load(none, shape(1)));
    none.remove(shape(1));
  }
}
