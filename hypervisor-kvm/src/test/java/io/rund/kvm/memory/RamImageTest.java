package io.rund.kvm.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RamImageTest {
  private static final long SIZE = 8 * RamTemplate.CHUNK;
  private static final int PAGE = GuestMemory.PAGE_SIZE;

  @TempDir private Path folder;

  /** Data in every second page of the first half, and in one of the last chunk. */
  private static RamTemplate scattered() {
    try (GuestMemory memory = GuestMemory.allocate("test", SIZE)) {
      for (long at = 0; at < SIZE / 2; at += 2 * PAGE) {
        memory.putLong(at, at + 1);
      }
      memory.putLong(SIZE - PAGE, 1);
      return memory.toTemplate("test-template");
    }
  }

  @Test
  void pagesOfZerosAreLeftOutUnlessTheyMakeTooManyPieces() throws IOException {
    long pages = SIZE / 2 / PAGE / 2;
    try (RamTemplate ram = scattered()) {
      RamImage image = RamImage.of(ram);
      assertEquals(pages + 1, image.extents().size());
      assertEquals((pages + 1) * PAGE, image.length());
      RamImage fewer = RamImage.of(ram, 100);
      assertEquals(5, fewer.extents().size());
      // The last page of each chunk is a zero.
      assertEquals(SIZE / 2 - 4 * PAGE + PAGE, fewer.length());
    }
  }

  @Test
  void howeverItIsCutItIsTheSameMemory() throws IOException {
    try (RamTemplate ram = scattered()) {
      for (RamImage image : List.of(RamImage.of(ram), RamImage.of(ram, 100))) {
        try (FileChannel file =
            FileChannel.open(
                folder.resolve("ram-" + image.extents().size()),
                StandardOpenOption.CREATE_NEW,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
          image.save(ram, file, PAGE);
          assertEquals(PAGE + image.length(), file.size());
          try (RamTemplate loaded = image.load("test-template", SIZE, file, PAGE);
              GuestMemory before = GuestMemory.clone(ram);
              GuestMemory after = GuestMemory.clone(loaded)) {
            assertTrue(before.slice(0, SIZE).mismatch(after.slice(0, SIZE)) < 0);
          }
        }
      }
    }
  }
}
