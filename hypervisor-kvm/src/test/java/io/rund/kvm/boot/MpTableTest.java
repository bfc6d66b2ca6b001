package io.rund.kvm.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.kvm.memory.GuestMemory;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reads the table back the way a kernel does: found by signature, believed if its sums are 0. */
class MpTableTest {
  private static final int RAM = 2 << 20;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 16, MpTable.MAX_CPUS})
  void aKernelFindsItsCpusAndEveryPin(int cpus) {
    try (GuestMemory memory = GuestMemory.allocate("test", RAM)) {
      MpTable.write(memory, cpus, 0xa10f11, 0x78bfbff);
      long table = floatingPointer(memory);
      int length = memory.getShort(table + 4);
      assertEquals(0x504d4350, memory.getInt(table)); // "PCMP"
      assertEquals(0, sum(memory, table, length));
      assertTrue(length + 16 <= Layout.MP_TABLE_LIMIT);
      assertEquals(0xfee00000, memory.getInt(table + 36));

      Map<Integer, Integer> counts = new HashMap<>();
      Set<Integer> apicIds = new HashSet<>();
      Set<Integer> pins = new HashSet<>();
      long at = table + 44;
      int entries = memory.getShort(table + 34);
      for (int i = 0; i < entries; i++) {
        int type = memory.getByte(at);
        counts.merge(type, 1, Integer::sum);
        if (type == 0) {
          assertTrue(apicIds.add(memory.getByte(at + 1) & 0xff));
          assertEquals(i == 0 ? 3 : 1, memory.getByte(at + 3));
          assertEquals(0xa10f11, memory.getInt(at + 4));
        }
        if (type == 2) {
          assertTrue(apicIds.add(memory.getByte(at + 1) & 0xff));
          assertEquals(0xfec00000, memory.getInt(at + 4));
        }
        if (type == 3) {
          assertEquals(memory.getByte(at + 5), memory.getByte(at + 7));
          assertEquals(cpus, memory.getByte(at + 6) & 0xff);
          pins.add((int) memory.getByte(at + 7));
        }
        at += type == 0 ? 20 : 8;
      }
      assertEquals(table + length, at);
      assertEquals(Map.of(0, cpus, 1, 1, 2, 1, 3, 24, 4, 2), counts);
      assertEquals(24, pins.size());
    }
  }

  @Test
  void theTableLiesWhereKernelsSearch() {
    assertTrue(Layout.MP_TABLE >= 0xf0000 && Layout.MP_TABLE < 0x100000);
    assertEquals(0, Layout.MP_TABLE % 16);
  }

  private static long floatingPointer(GuestMemory memory) {
    for (long at = 0xf0000; at < 0x100000; at += 16) {
      if (memory.getInt(at) == 0x5f504d5f) { // "_MP_"
        assertEquals(0, sum(memory, at, 16));
        assertEquals(1, memory.getByte(at + 8));
        return memory.getInt(at + 4);
      }
    }
    throw new AssertionError("no MP floating pointer");
  }

  private static int sum(GuestMemory memory, long start, int length) {
    byte sum = 0;
    for (int i = 0; i < length; i++) {
      sum += memory.getByte(start + i);
    }
    return sum;
  }
}
