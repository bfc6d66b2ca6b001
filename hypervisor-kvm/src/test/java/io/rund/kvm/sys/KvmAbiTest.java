package io.rund.kvm.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KvmAbiTest {
  private static final Path SOURCE = Path.of("..", "native", "kvm-offsets", "kvm-offsets.c");

  @Test
  void everyConstantIsThatOfTheKernelsHeader(@TempDir Path folder) throws Exception {
    Path program = folder.resolve("kvm-offsets");
    run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE);
    Map<String, Long> expected = new TreeMap<>();
    run(program)
        .lines()
        .forEach(
            line -> {
              int space = line.indexOf(' ');
              expected.put(line.substring(0, space), Long.parseLong(line.substring(space + 1)));
            });
    assertEquals(expected, constants());
  }

  private static Map<String, Long> constants() throws IllegalAccessException {
    Map<String, Long> constants = new TreeMap<>();
    for (Class<?> group : KvmAbi.class.getDeclaredClasses()) {
      for (Field field : group.getDeclaredFields()) {
        if (Modifier.isStatic(field.getModifiers())) {
          constants.put(
              group.getSimpleName() + "." + field.getName(),
              ((Number) field.get(null)).longValue());
        }
      }
    }
    return constants;
  }

  private static String run(Object... command) throws IOException, InterruptedException {
    String[] words = new String[command.length];
    for (int i = 0; i < words.length; i++) {
      words[i] = command[i].toString();
    }
    Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }
}
