package io.rund.kvm.boot;

import io.rund.kvm.bus.MmioBus;
import java.util.List;

/** The kernel's command line (Documentation/admin-guide/kernel-parameters.txt). */
final class CommandLine {
  /** What all guests are booted with. */
  private static final List<String> BASE =
      List.of(
          "rdinit=/init",
          "reboot=t", // a triple fault: one exit, no search for a working method
          "panic=-1", // reset at once, the sandbox ends
          "no_timer_check", // there is no PIT to check
          "noreplace-smp",
          "random.trust_cpu=on",
          "tsc=reliable");

  private static final String WITH_CONSOLE =
      "8250.nr_uarts=1 console=ttyS0 earlyprintk=ttyS0 loglevel=7";

  /** Quiet, but for the words of a dying kernel: panic() prints whatever the log level is. */
  private static final String WITHOUT_CONSOLE =
      "quiet loglevel=1 8250.nr_uarts=0 earlyprintk=ttyS0,keep";

  private CommandLine() {}

  /**
   * @param irqs for each device in order of its window, its interrupt
   * @param extra appended; may be empty
   */
  static String of(List<Integer> irqs, boolean console, String extra) {
    StringBuilder line = new StringBuilder(String.join(" ", BASE));
    line.append(' ').append(console ? WITH_CONSOLE : WITHOUT_CONSOLE);
    for (int i = 0; i < irqs.size(); i++) {
      line.append(
          " virtio_mmio.device=%dK@0x%x:%d"
              .formatted(MmioBus.WINDOW >> 10, MmioBus.address(i), irqs.get(i)));
    }
    return extra.isEmpty() ? line.toString() : line.append(' ').append(extra).toString();
  }
}
