package io.rund.core.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RundConfigTest {
  private static final Path ROOT = Path.of("/opt/rund");

  @TempDir Path directory;

  private RundConfig read(String toml) throws IOException {
    Path file = directory.resolve("rund.toml");
    Files.writeString(file, toml);
    return RundConfig.read(file, ROOT);
  }

  @Test
  void theFileThatIsShippedSaysTheDefaults() {
    Path shipped = Path.of("..", "shim-v2", "src", "main", "dist", "etc", "rund.toml");
    assertEquals(RundConfig.defaults(ROOT), RundConfig.read(shipped, ROOT));
  }

  @Test
  void readsWhatIsSet() throws IOException {
    RundConfig config =
        read(
            """
            isolation = "namespace"
            kernel = "/boot/vmlinux"
            initramfs = "images/guest.cpio"
            default_memory = "1GiB"
            boot_timeout = "2m"
            debug_console = true
            template_dir = "templates"
            """);
    assertEquals(RundConfig.Isolation.NAMESPACE, config.isolation());
    assertEquals(Path.of("/boot/vmlinux"), config.kernel());
    assertEquals(ROOT.resolve("images/guest.cpio"), config.initramfs());
    assertEquals(1L << 30, config.defaultMemory());
    assertEquals(Duration.ofMinutes(2), config.bootTimeout());
    assertTrue(config.debugConsole());
    assertEquals(Optional.of(ROOT.resolve("templates")), config.templateDir());
    assertEquals(Optional.empty(), read("template_dir = \"\"").templateDir());
    assertEquals(RundConfig.defaults(ROOT).slots(), config.slots());
  }

  @Test
  void anUnknownKeyIsNamedWithThoseThatExist() {
    RundException e = assertThrows(RundException.class, () -> read("defualt_memory = \"1GiB\""));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    assertTrue(e.getMessage().contains("rund.toml: unknown key defualt_memory"), e.getMessage());
    assertTrue(e.getMessage().contains("default_memory"), e.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "isolation = \"pod\" | \"node\", \"namespace\", \"sandbox\"",
        "isolation = 3 | \"node\", \"namespace\", \"sandbox\"",
        "default_vcpus = 0 | from 1 to 64",
        "default_vcpus = \"2\" | from 1 to 64",
        "default_memory = \"16MiB\" | from \"64MiB\"",
        "default_memory = \"256MB\" | in MiB or GiB",
        "default_memory = 268435456 | in MiB or GiB",
        "default_memory = \"999999999999GiB\" | in MiB or GiB",
        "boot_timeout = \"0s\" | a time such as",
        "boot_timeout = 60 | a time such as",
        "debug_console = \"yes\" | true or false",
        "kernel = \"\" | not empty",
      })
  void aBadValueIsNamedWithWhatIsAllowed(String line, String allowed) {
    RundException e = assertThrows(RundException.class, () -> read(line));
    String key = line.substring(0, line.indexOf(' '));
    assertTrue(e.getMessage().contains("rund.toml: " + key + " = "), e.getMessage());
    assertTrue(e.getMessage().contains(allowed), e.getMessage());
  }

  @Test
  void brokenTomlIsNamedByLine() {
    RundException e = assertThrows(RundException.class, () -> read("slots = 4\nkernel = \"a"));
    assertTrue(e.getMessage().contains("rund.toml, line 2"), e.getMessage());
  }

  @Test
  void aMissingFileIsNamed() {
    RundException e =
        assertThrows(RundException.class, () -> RundConfig.read(Path.of("/no/rund.toml"), ROOT));
    assertTrue(e.getMessage().contains("/no/rund.toml"), e.getMessage());
  }
}
