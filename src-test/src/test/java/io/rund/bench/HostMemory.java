package io.rund.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** /proc/meminfo (Documentation/filesystems/proc.rst), in KiB. */
record HostMemory(Map<String, Long> fields) {
  /** What the kernel has for itself; SecPageTables are KVM's tables of guests (Linux 6.1). */
  private static final List<String> KERNEL =
      List.of("Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu");

  /** What an idle clone may need, all told; one of 128 MiB owns 7 MiB of its RAM. */
  private static final long SANDBOX_KIB = 40 << 10;

  static HostMemory read() throws IOException {
    Map<String, Long> fields = new HashMap<>();
    for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
      String[] words = line.split(":? +", 3);
      fields.put(words[0], Long.parseLong(words[1]));
    }
    return new HostMemory(fields);
  }

  /** Whether there is memory for so many more. */
  boolean hasRoomFor(int sandboxes) {
    return fields.get("MemAvailable") > sandboxes * SANDBOX_KIB;
  }

  long kernelKib() {
    return KERNEL.stream().mapToLong(name -> fields.getOrDefault(name, 0L)).sum();
  }
}
