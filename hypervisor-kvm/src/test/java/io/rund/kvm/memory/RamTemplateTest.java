package io.rund.kvm.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class RamTemplateTest {
  private static final long MIB = 1 << 20;
  private static final long SIZE = 16 * MIB;

  /** In chunks that are else empty: in the first and the last, in one's middle, at a page's end. */
  private static final List<Long> PLACES = List.of(0L, 5 * MIB + 4088, 6 * MIB, SIZE - 8);

  /** A chunk with no page of zeros, which is a huge page where the host has some. */
  private static final long FULL = 8 * MIB;

  private static final long FULL_END = 10 * MIB;
  private static final long SEVENS = 0x0707070707070707L;

  /** A chunk of which so much is data that clones share it with its template. */
  private static final long HALF = 12 * MIB;

  private static final long HALF_END = 13 * MIB;

  private static RamTemplate template() {
    try (GuestMemory memory = GuestMemory.allocate("test", SIZE)) {
      memory.slice(FULL, FULL_END - FULL).fill((byte) 7);
      memory.slice(HALF, HALF_END - HALF).fill((byte) 7);
      PLACES.forEach(place -> memory.putLong(place, place + 1));
      return memory.toTemplate("test-template");
    }
  }

  @Test
  void aCloneHasWhatWasWrittenAndZerosElsewhere() {
    try (RamTemplate template = template();
        GuestMemory clone = GuestMemory.clone(template)) {
      assertEquals(SIZE, clone.size());
      for (long at = 0; at < SIZE; at += 8) {
        assertEquals(expected(at), clone.getLong(at), "at " + at);
      }
    }
  }

  private static long expected(long at) {
    if ((at >= FULL && at < FULL_END) || (at >= HALF && at < HALF_END)) {
      return SEVENS;
    }
    return PLACES.contains(at) ? at + 1 : 0;
  }

  @Test
  void whatACloneWritesIsItsOwn() {
    try (RamTemplate template = template();
        GuestMemory one = GuestMemory.clone(template);
        GuestMemory other = GuestMemory.clone(template)) {
      for (long place : List.of(0L, 3 * MIB, 6 * MIB, FULL + 4096)) {
        long before = other.getLong(place);
        one.putLong(place, 42);
        assertEquals(before, other.getLong(place));
        other.putLong(place, 43);
        assertEquals(42, one.getLong(place));
      }
      try (GuestMemory late = GuestMemory.clone(template)) {
        assertEquals(1, late.getLong(0));
      }
    }
  }

  @Test
  void whatACloneGivesBackIsAsInTheTemplateAgainWhereTheyShared() {
    try (RamTemplate template = template();
        GuestMemory clone = GuestMemory.clone(template)) {
      clone.slice(0, SIZE).fill((byte) 1);
      clone.discard(4 * MIB, 10 * MIB);
      assertEquals(0, clone.getLong(5 * MIB + 4088));
      assertEquals(0, clone.getLong(4 * MIB));
      assertEquals(SEVENS, clone.getLong(FULL));
      assertEquals(0, clone.getLong(FULL_END));
      assertEquals(SEVENS, clone.getLong(HALF));
      assertEquals(0, clone.getLong(HALF_END));
      assertEquals(0x0101010101010101L, clone.getLong(4 * MIB - 8));
      assertEquals(0x0101010101010101L, clone.getLong(14 * MIB));
    }
  }

  /** Where chunks without data begin. */
  private static final long EMPTY = 10 * MIB;

  private static final long OTHER_EMPTY = 2 * MIB;

  @Test
  void whatIsEmptyWhenACloneBeginsToWorkAndWhatItsTemplateHadBegunIsInHugePages()
      throws IOException {
    try (RamTemplate template = template();
        GuestMemory clone = GuestMemory.clone(template)) {
      assertEquals("nh", hugePages(clone, EMPTY));
      assertEquals("nh", hugePages(clone, OTHER_EMPTY));
      for (long begun : PLACES) {
        assertEquals("hg", hugePages(clone, begun));
      }
      clone.putLong(EMPTY + 4096, 1);
      clone.beginsToWork();
      assertEquals("nh", hugePages(clone, EMPTY));
      assertEquals("hg", hugePages(clone, OTHER_EMPTY));
      assertEquals("", hugePages(clone, FULL));
      assertEquals("", hugePages(clone, HALF));
      assertEquals(1, clone.getLong(EMPTY + 4096));
      assertEquals(SEVENS, clone.getLong(FULL));
    }
  }

  @Test
  void ofAGuestWhoseDataIsScatteredACloneCopiesLittle() throws IOException {
    try (GuestMemory memory = GuestMemory.allocate("test", SIZE)) {
      for (long chunk = 0; chunk < SIZE; chunk += 2 * MIB) {
        memory.putLong(chunk, chunk + 1);
      }
      try (RamTemplate template = memory.toTemplate("test-template");
          GuestMemory clone = GuestMemory.clone(template)) {
        int huge = 0;
        for (long chunk = 0; chunk < SIZE; chunk += 2 * MIB) {
          huge += hugePages(clone, chunk).equals("hg") ? 1 : 0;
          assertEquals(chunk + 1, clone.getLong(chunk));
        }
        assertEquals(4, huge);
      }
    }
  }

  @Test
  void ofAGuestWhoseDataIsInEverySecondPieceThereAreFewMappings() throws IOException {
    long size = 4L * RamTemplate.MOST_SHARED * 2 * MIB;
    try (GuestMemory memory = GuestMemory.allocate("test", size)) {
      for (long chunk = 0; chunk < size; chunk += 4 * MIB) {
        memory.slice(chunk, MIB).fill((byte) 7);
      }
      long before = mappings();
      try (RamTemplate template = memory.toTemplate("test-template");
          GuestMemory clone = GuestMemory.clone(template)) {
        assertTrue(mappings() - before < 3 * RamTemplate.MOST_SHARED);
        assertTrue(memory.slice(0, size).mismatch(clone.slice(0, size)) < 0);
        clone.putLong(2 * MIB, 1);
        assertEquals(0, memory.getLong(2 * MIB));
      }
    }
  }

  private static long mappings() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).size();
  }

  /** Not what only one of them has written, nor what came later. */
  @Test
  void whatTwoClonesHadWrittenWhenTheyBeganToWorkTheNextHasFromTheStart() throws IOException {
    long page = GuestMemory.PAGE_SIZE;
    List<Long> both = List.of(FULL + page, HALF, HALF + page, HALF_END - page, EMPTY + page);
    try (RamTemplate template = template()) {
      for (long own : List.of(HALF + 8 * page, HALF + 9 * page)) {
        try (GuestMemory clone = GuestMemory.clone(template)) {
          assertEquals("0 kB", mapping(clone, HALF, "Anonymous:"));
          both.forEach(place -> clone.putLong(place, 1));
          clone.putLong(own, 1);
          clone.beginsToWork();
          clone.putLong(HALF + 10 * page, 1);
          clone.beginsToWork();
        }
      }
      try (GuestMemory clone = GuestMemory.clone(template)) {
        assertEquals("4 kB", mapping(clone, FULL, "Anonymous:"));
        assertEquals("4 kB", mapping(clone, EMPTY, "Anonymous:"));
        assertEquals("12 kB", mapping(clone, HALF, "Anonymous:"));
        both.forEach(place -> assertEquals(expected(place), clone.getLong(place)));
      }
    }
  }

  @Test
  void aPieceThatIsAllThereIsNotWhatTheNextHasFromTheStart() throws IOException {
    try (RamTemplate template = template()) {
      for (int i = 0; i < 2; i++) {
        try (GuestMemory clone = GuestMemory.clone(template)) {
          clone.slice(EMPTY, 2 * MIB).fill((byte) 1);
          clone.beginsToWork();
        }
      }
      try (GuestMemory clone = GuestMemory.clone(template)) {
        assertEquals("0 kB", mapping(clone, EMPTY, "Rss:"));
      }
    }
  }

  @Test
  void aCopyOfACloneHasAllThatItHasAndTouchesNothingThatItHasNeverUsed() throws IOException {
    try (RamTemplate template = template();
        GuestMemory clone = GuestMemory.clone(template)) {
      clone.putLong(EMPTY + 4096, 42);
      clone.putLong(FULL, 43);
      clone.putLong(0, 0);
      try (RamTemplate copy = clone.toTemplate("test-copy");
          GuestMemory second = GuestMemory.clone(copy)) {
        assertEquals("4 kB", mapping(clone, EMPTY, "Rss:"));
        assertEquals("0 kB", mapping(clone, OTHER_EMPTY, "Rss:"));
        for (long at = 0; at < SIZE; at += 8) {
          long own = at == EMPTY + 4096 ? 42 : at == FULL ? 43 : at == 0 ? 0 : expected(at);
          assertEquals(own, second.getLong(at), "at " + at);
        }
      }
    }
  }

  /** Whether the mapping at an address wants huge pages: hg for yes, nh for no. */
  private static String hugePages(GuestMemory memory, long gpa) throws IOException {
    List<String> flags = List.of(mapping(memory, gpa, "VmFlags:").split(" ", -1));
    return flags.contains("hg") ? "hg" : flags.contains("nh") ? "nh" : "";
  }

  /** What the system says of the mapping at an address: smaps in filesystems/proc.rst. */
  private static String mapping(GuestMemory memory, long gpa, String field) throws IOException {
    long address = memory.hostAddress(gpa, 1);
    boolean inside = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        String[] bounds = line.substring(0, line.indexOf(' ')).split("-", 2);
        inside =
            Long.parseUnsignedLong(bounds[0], 16) <= address
                && address < Long.parseUnsignedLong(bounds[1], 16);
      } else if (inside && line.startsWith(field)) {
        return line.substring(field.length()).strip();
      }
    }
    return "not mapped";
  }

  @Test
  void clonesOutliveTheTemplateAndNoneComesAfterIt() {
    RamTemplate template = template();
    try (GuestMemory clone = GuestMemory.clone(template)) {
      template.close();
      template.close();
      assertEquals(6 * MIB + 1, clone.getLong(6 * MIB));
      assertEquals(
          ErrorCode.FAILED_PRECONDITION,
          assertThrows(RundException.class, () -> GuestMemory.clone(template)).code());
    }
  }

  @Test
  void nobodyCanWriteToATemplate() throws IOException {
    try (RamTemplate _ = template();
        var files = Files.list(Path.of("/proc/self/fd"))) {
      List<Path> memfds = files.filter(RamTemplateTest::isTemplate).toList();
      assertEquals(1, memfds.size());
      assertThrows(IOException.class, () -> Files.write(memfds.getFirst(), new byte[] {1}));
      assertTrue(Files.size(memfds.getFirst()) == SIZE);
    }
  }

  private static boolean isTemplate(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().contains("memfd:test-template");
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }
}
