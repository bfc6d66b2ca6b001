package io.rund.shim.cli;

import java.io.PrintWriter;
import java.time.Instant;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParentCommand;

/** rund list. */
@Command(name = "list", description = "Lists all sandboxes.")
final class ListCommand implements Runnable {
  @ParentCommand private RundCommand rund;

  @Override
  public void run() {
    List<SandboxView> sandboxes =
        rund.engines().sandboxes().stream().map(found -> SandboxView.of(found.sandbox())).toList();
    rund.print(sandboxes, out -> print(sandboxes, out));
  }

  private static void print(List<SandboxView> sandboxes, PrintWriter out) {
    Instant now = Instant.now();
    Table table = new Table("NAMESPACE", "ID", "PID", "STATUS", "VCPUS", "MEMORY", "AGE", "KERNEL");
    for (SandboxView s : sandboxes) {
      table.row(
          s.namespace(),
          s.id(),
          s.pid(),
          s.status(),
          s.vcpus(),
          s.memory(),
          s.age(now),
          s.kernel());
    }
    table.print(out);
  }
}
