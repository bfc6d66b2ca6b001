package io.rund.shim.cli;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.AddressRange;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * The memory of a process, in bytes, in proportional shares (PSS: a page that n processes map
 * counts one n-th; Documentation/filesystems/proc.rst).
 *
 * @param ranges of each range that was asked for
 * @param rest of all else
 * @param pageTables VmPTE
 */
record ProcessMemory(Map<AddressRange, Long> ranges, long rest, long pageTables) {

  /**
   * Measures a process.
   *
   * @param proc its folder, such as /proc/1
   * @throws RundException UNAVAILABLE if it has ended, or belongs to somebody else
   */
  static ProcessMemory of(Path proc, List<AddressRange> ranges) {
    NavigableMap<Long, AddressRange> byStart = new TreeMap<>(Long::compareUnsigned);
    Map<AddressRange, Long> sums = new LinkedHashMap<>();
    for (AddressRange range : ranges) {
      byStart.put(range.start(), range);
      sums.put(range, 0L);
    }
    long rest = 0;
    try (BufferedReader smaps = Files.newBufferedReader(proc.resolve("smaps"))) {
      AddressRange current = null;
      for (String line = smaps.readLine(); line != null; line = smaps.readLine()) {
        if (line.startsWith("Pss:")) {
          if (current == null) {
            rest += bytes(line);
          } else {
            sums.merge(current, bytes(line), Long::sum);
          }
        } else if (isHeader(line)) {
          current = at(byStart, Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16));
        }
      }
      return new ProcessMemory(sums, rest, pageTables(proc));
    } catch (IOException e) {
      throw RundException.unavailable(
          "cannot read the memory of %s: %s; are you root?".formatted(proc, e), e);
    }
  }

  /** "7f00-7f01 rw-p ...", where all else is "Name: ...". */
  private static boolean isHeader(String line) {
    int space = line.indexOf(' ');
    return space > 0 && line.lastIndexOf('-', space) > 0 && line.charAt(space - 1) != ':';
  }

  private static AddressRange at(NavigableMap<Long, AddressRange> byStart, long address) {
    Map.Entry<Long, AddressRange> below = byStart.floorEntry(address);
    boolean inside = below != null && Long.compareUnsigned(address, below.getValue().end()) < 0;
    return inside ? below.getValue() : null;
  }

  private static long pageTables(Path proc) throws IOException {
    return Files.readAllLines(proc.resolve("status")).stream()
        .filter(line -> line.startsWith("VmPTE:"))
        .mapToLong(ProcessMemory::bytes)
        .sum();
  }

  /** Of "Name: 12 kB". */
  private static long bytes(String line) {
    return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
  }

  /** All of it, page tables too. */
  long total() {
    return rest + pageTables + ranges.values().stream().mapToLong(Long::longValue).sum();
  }
}
