package io.rund.shim.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Whether the host's kernel has what the network of sandboxes is made of. */
final class ModuleChecks {
  /** One of each list is needed. */
  private static final List<List<String>> WANTED =
      List.of(
          List.of("tun"),
          List.of("sch_ingress"),
          List.of("act_mirred"),
          List.of("cls_matchall", "cls_u32"));

  private ModuleChecks() {}

  /**
   * Modules are loaded when they are first used, so one that could be is as good as one that is.
   *
   * @param modules such as /lib/modules/6.1.0
   * @param loaded /sys/module
   */
  static Check network(Path modules, Path loaded) {
    String name = "network";
    List<String> known = new ArrayList<>();
    for (String list : List.of("modules.builtin", "modules.dep")) {
      try {
        known.addAll(Files.readAllLines(modules.resolve(list)));
      } catch (IOException e) {
        // A kernel without modules may have all that is needed; what is loaded says the rest.
      }
    }
    List<String> missing =
        WANTED.stream()
            .filter(each -> each.stream().noneMatch(module -> has(module, known, loaded)))
            .map(each -> String.join(" or ", each))
            .toList();
    if (missing.isEmpty()) {
      return Check.ok(name, "the kernel has tun and the traffic control that pods need");
    }
    return Check.failed(
        name,
        "the kernel seems to have no " + String.join(", ", missing),
        "modprobe them; install the distribution's full kernel, with its extra modules, and boot it");
  }

  private static boolean has(String module, List<String> known, Path loaded) {
    return Files.exists(loaded.resolve(module))
        || known.stream()
            .flatMap(line -> Stream.of(line.split(":", 2)[0]))
            .map(path -> path.substring(path.lastIndexOf('/') + 1))
            .anyMatch(file -> file.startsWith(module + ".ko"));
  }
}
