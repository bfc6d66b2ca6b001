package io.rund.shim.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.AddressRange;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProcessMemoryTest {
  @TempDir Path proc;

  @Test
  void countsWhatLiesInARangeThereAndTheRestApart() throws Exception {
    Files.writeString(
        proc.resolve("smaps"),
        """
        55d0c8a00000-55d0c8a02000 r--p 00000000 fe:01 1234       /usr/bin/some-program: with a colon
        Size:                  8 kB
        Rss:                   8 kB
        Pss:                   4 kB
        Pss_Dirty:             4 kB
        VmFlags: rd mr mw me
        7f0000000000-7f0000200000 rw-s 00000000 00:01 1          /memfd:rund (deleted)
        Pss:                2048 kB
        7f0000200000-7f0000400000 rw-s 00200000 00:01 1          /memfd:rund (deleted)
        Pss:                 100 kB
        7f0000400000-7f0000401000 rw-p 00000000 00:00 0
        Pss:                   3 kB
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]
        Pss:                   0 kB
        """);
    Files.writeString(proc.resolve("status"), "Name:\tx\nVmPTE:\t      56 kB\n");
    AddressRange ram = new AddressRange(0x7f0000000000L, 0x7f0000400000L);
    ProcessMemory memory = ProcessMemory.of(proc, List.of(ram));
    assertEquals(2148L << 10, memory.ranges().get(ram));
    assertEquals(7L << 10, memory.rest());
    assertEquals(56L << 10, memory.pageTables());
    assertEquals(2211L << 10, memory.total());
  }

  @Test
  void aProcessThatHasEndedIsAnErrorThatNamesIt() {
    assertThrows(RundException.class, () -> ProcessMemory.of(proc.resolve("gone"), List.of()));
  }
}
