package io.rund.kvm.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.kvm.memory.GuestMemory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BootParamsTest {
  private static final long MIB = 1 << 20;
  private static final Initramfs INITRAMFS = new Initramfs(3 * MIB, 12345);

  private record Range(long start, long size, int type) {}

  @Test
  void theKernelIsToldOfItsMemoryImageAndCommandLine() {
    try (GuestMemory memory = GuestMemory.allocate("test", 4 * MIB)) {
      BootParams.write(memory, "rdinit=/init", INITRAMFS);
      assertEquals((short) 0xaa55, memory.getShort(0x71fe));
      assertEquals(3 * MIB, memory.getInt(0x7218));
      assertEquals(12345, memory.getInt(0x721c));
      long line = memory.getInt(0x7228);
      byte[] text = new byte[13];
      for (int i = 0; i < text.length; i++) {
        text[i] = memory.getByte(line + i);
      }
      assertEquals("rdinit=/init\0", new String(text, StandardCharsets.US_ASCII));
      assertEquals(
          List.of(
              new Range(0, 0x9fc00, 1),
              new Range(0x9fc00, 0x100000 - 0x9fc00, 2),
              new Range(MIB, 3 * MIB, 1)),
          e820(memory));
    }
  }

  @Test
  void memoryAboveTheHoleIsListed() {
    try (GuestMemory memory = GuestMemory.allocate("test", GuestMemory.HOLE_START + 8 * MIB)) {
      BootParams.write(memory, "", INITRAMFS);
      assertEquals(
          List.of(
              new Range(MIB, GuestMemory.HOLE_START - MIB, 1),
              new Range(GuestMemory.HOLE_END, 8 * MIB, 1)),
          e820(memory).subList(2, 4));
    }
  }

  @Test
  void commandLinesLongerThanLinuxTakesAreRefused() {
    try (GuestMemory memory = GuestMemory.allocate("test", 4 * MIB)) {
      BootParams.write(memory, "a".repeat(2047), INITRAMFS);
      assertThrows(
          RundException.class, () -> BootParams.write(memory, "a".repeat(2048), INITRAMFS));
    }
  }

  @Test
  void devicesAreNamedOnTheCommandLine() {
    String line = CommandLine.of(List.of(5, 6), false, "extra=1");
    assertTrue(
        line.endsWith(
            " virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6 extra=1"),
        line);
    assertTrue(CommandLine.of(List.of(), true, "").contains(" console=ttyS0 "));
  }

  @Test
  void theInitramfsLiesAtTheTopAndMustFit(@TempDir Path folder) throws IOException {
    Path path =
        Files.write(
            folder.resolve("initramfs"),
            "0123456789".repeat(1000).getBytes(StandardCharsets.US_ASCII));
    try (GuestMemory memory = GuestMemory.allocate("test", 4 * MIB)) {
      Initramfs initramfs = Initramfs.load(path, memory, 2 * MIB);
      assertEquals(new Initramfs(4 * MIB - 3 * 4096, 10000), initramfs);
      assertEquals('9', memory.getByte(initramfs.address() + 9999));
      String message =
          assertThrows(RundException.class, () -> Initramfs.load(path, memory, 4 * MIB - 8192))
              .getMessage();
      assertTrue(message.contains("too small") && message.contains(path.toString()), message);
      Path missing = folder.resolve("missing");
      assertThrows(RundException.class, () -> Initramfs.load(missing, memory, 0));
      Path empty = Files.createFile(folder.resolve("empty"));
      assertThrows(RundException.class, () -> Initramfs.load(empty, memory, 0));
    }
  }

  private static List<Range> e820(GuestMemory memory) {
    List<Range> ranges = new ArrayList<>();
    for (int i = 0; i < memory.getByte(0x71e8); i++) {
      long at = 0x72d0 + i * 20L;
      ranges.add(new Range(memory.getLong(at), memory.getLong(at + 8), memory.getInt(at + 16)));
    }
    return ranges;
  }
}
