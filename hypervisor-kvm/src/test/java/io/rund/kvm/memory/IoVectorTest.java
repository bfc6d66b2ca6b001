package io.rund.kvm.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class IoVectorTest {
  private final IoVector vector = new IoVector(4);

  /** Base and length of each piece, as the kernel reads them. */
  private List<Long> pieces() {
    MemorySegment entries =
        MemorySegment.ofAddress(vector.address()).reinterpret(16L * vector.count());
    return LongStream.range(0, 2L * vector.count())
        .mapToObj(i -> entries.getAtIndex(ValueLayout.JAVA_LONG, i))
        .toList();
  }

  @Test
  void neighboursAreOnePieceAndOthersAreNot() {
    vector.add(0x1000, 0x1000);
    vector.add(0x2000, 0x800);
    vector.add(0x1000, 0x10);
    vector.add(0x1020, 0x10);
    assertEquals(List.of(0x1000L, 0x1800L, 0x1000L, 0x10L, 0x1020L, 0x10L), pieces());
    assertEquals(0x1820, vector.bytes());
  }

  @Test
  void whatIsTakenOffTheFrontLeavesTheRest() {
    vector.add(0x1000, 0x1000);
    vector.add(0x2000, 0x1000);
    vector.add(0x8000, 0x100);
    vector.advance(0x1800);
    assertEquals(List.of(0x2800L, 0x800L, 0x8000L, 0x100L), pieces());
    vector.advance(0x800);
    assertEquals(List.of(0x8000L, 0x100L), pieces());
    vector.advance(0x100);
    assertEquals(0, vector.count());
    assertEquals(0, vector.bytes());
    vector.clear();
    vector.add(0x8100, 1);
    assertEquals(List.of(0x8100L, 1L), pieces());
  }
}
