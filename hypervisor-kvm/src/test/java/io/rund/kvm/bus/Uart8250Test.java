package io.rund.kvm.bus;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Uart8250Test {
  private static final int COM1 = 0x3f8;

  @TempDir private Path folder;
  private int interrupts;

  @Test
  void whatTheGuestPrintsIsInTheFile() throws IOException {
    Path path = folder.resolve("console.log");
    try (ConsoleLog log = new ConsoleLog(path)) {
      PioBus bus = new PioBus(new Uart8250(log, () -> interrupts++));
      bus.write(COM1 + 3, 1, 0x83); // divisor latch: the next byte is no character
      bus.write(COM1, 1, 'X');
      bus.write(COM1 + 3, 1, 0x03);
      print(bus, "line\npart");
      assertEquals("line\n", Files.readString(path));
      assertEquals(0x60, bus.read(COM1 + 5, 1));
    }
    assertEquals("line\npart", Files.readString(path));
  }

  @Test
  void theTransmitInterruptComesWhenEnabledAndOnce() {
    try (ConsoleLog log = new ConsoleLog(folder.resolve("console.log"))) {
      PioBus bus = new PioBus(new Uart8250(log, () -> interrupts++));
      print(bus, "a");
      assertEquals(0, interrupts);
      bus.write(COM1 + 1, 1, 0x02);
      assertEquals(1, interrupts);
      assertEquals(0x02, bus.read(COM1 + 2, 1));
      assertEquals(0x01, bus.read(COM1 + 2, 1));
      print(bus, "b");
      assertEquals(2, interrupts);
    }
  }

  @Test
  void aGuestThatPrintsForEverDoesNotFillTheDisk() throws IOException {
    Path path = folder.resolve("console.log");
    try (ConsoleLog log = new ConsoleLog(path)) {
      PioBus bus = new PioBus(new Uart8250(log, () -> interrupts++));
      for (int i = 0; i < ConsoleLog.LIMIT + (1 << 20); i++) {
        bus.write(COM1, 1, 'a');
      }
    }
    assertTrue(Files.size(path) < ConsoleLog.LIMIT + 1024);
  }

  @Test
  void theLastWordsOfAGuestAreKeptAndPrintable() {
    ConsoleTail tail = new ConsoleTail();
    PioBus bus = new PioBus(new Uart8250(tail, () -> {}));
    assertEquals("", tail.text());
    print(bus, "x".repeat(10 * ConsoleTail.LIMIT) + "\r\n\033[31mKernel panic\n");
    assertTrue(tail.text().endsWith("x\n?[31mKernel panic"), tail.text());
    assertTrue(tail.text().length() < ConsoleTail.LIMIT);
  }

  @Test
  void otherPortsFloat() {
    PioBus bus = new PioBus(null);
    assertEquals(-1, bus.read(COM1 + 5, 1));
    assertEquals(-1, bus.read(0x80, 4));
    assertEquals(0, bus.read(0x64, 1));
  }

  private static void print(PioBus bus, String text) {
    for (byte character : text.getBytes(StandardCharsets.US_ASCII)) {
      bus.write(COM1, 1, character);
    }
  }
}
