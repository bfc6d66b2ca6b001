package io.rund.kvm.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GuestMemoryTest {
  private static final long MIB = 1 << 20;

  @ParameterizedTest
  @CsvSource({
    "0, -1",
    "0, 0x100001",
    "0x100000, 1",
    "0xfffff, 2",
    "-1, 1",
    "-1, 2",
    "1, 0x7fffffffffffffff",
    "0x7fffffffffffffff, 0x7fffffffffffffff",
    "0xc0000000, 1",
    "0x100000000, 1",
    "0x8000000000000000, 4"
  })
  void rangesThatAreNotRamAreGuestFaults(String gpa, String length) {
    try (GuestMemory memory = GuestMemory.allocate("test", MIB)) {
      long from = gpa.startsWith("0x8") ? Long.MIN_VALUE : Long.decode(gpa);
      assertThrows(GuestFault.class, () -> memory.slice(from, Long.decode(length)));
      assertThrows(GuestFault.class, () -> memory.hostAddress(from, Long.decode(length)));
    }
  }

  @Test
  void valuesAreLittleEndianAndSlicesAreTheSameMemory() {
    try (GuestMemory memory = GuestMemory.allocate("test", MIB)) {
      memory.putLong(MIB - 8, 0x1122334455667788L);
      assertEquals((byte) 0x88, memory.getByte(MIB - 8));
      assertEquals((short) 0x7788, memory.getShort(MIB - 8));
      assertEquals(0x55667788, memory.getInt(MIB - 8));
      MemorySegment slice = memory.slice(MIB - 8, 8);
      slice.set(ValueLayout.JAVA_BYTE, 7, (byte) 0x7f);
      assertEquals(0x7f22334455667788L, memory.getLong(MIB - 8));
      assertEquals(slice.address(), memory.hostAddress(MIB - 8, 8));
      assertThrows(GuestFault.class, () -> memory.getLong(MIB - 7));
      assertThrows(GuestFault.class, () -> memory.putShort(MIB - 1, (short) 0));
    }
  }

  @Test
  void ramAboveThreeGibContinuesAfterTheHole() {
    long size = GuestMemory.HOLE_START + 2 * MIB;
    try (GuestMemory memory = GuestMemory.allocate("test", size)) {
      assertEquals(size, memory.size());
      assertEquals(2, memory.regions().size());
      memory.putLong(GuestMemory.HOLE_START - 8, 1);
      memory.putLong(GuestMemory.HOLE_END, 2);
      memory.putLong(GuestMemory.HOLE_END + 2 * MIB - 8, 3);
      assertEquals(1, memory.getLong(GuestMemory.HOLE_START - 8));
      assertEquals(2, memory.getLong(GuestMemory.HOLE_END));
      assertEquals(3, memory.getLong(GuestMemory.HOLE_END + 2 * MIB - 8));
      assertThrows(GuestFault.class, () -> memory.getLong(GuestMemory.HOLE_START - 4));
      assertThrows(GuestFault.class, () -> memory.getByte(GuestMemory.HOLE_START));
      assertThrows(GuestFault.class, () -> memory.getByte(GuestMemory.HOLE_END - 1));
      assertThrows(GuestFault.class, () -> memory.getByte(GuestMemory.HOLE_END + 2 * MIB));
      assertThrows(GuestFault.class, () -> memory.slice(0, GuestMemory.HOLE_END + 1));
    }
  }

  @Test
  void closedMemoryCannotBeTouched() {
    GuestMemory memory = GuestMemory.allocate("test", MIB);
    MemorySegment slice = memory.slice(0, 16);
    memory.close();
    memory.close();
    assertThrows(IllegalStateException.class, () -> slice.get(ValueLayout.JAVA_BYTE, 0));
    assertThrows(IllegalStateException.class, () -> memory.getByte(0));
  }

  @ParameterizedTest
  @CsvSource({"0", "-4096", "4095"})
  void sizesThatAreNoPagesAreInvalid(long bytes) {
    RundException e = assertThrows(RundException.class, () -> GuestMemory.allocate("test", bytes));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
  }
}
