package io.rund.shim.cli;

import io.rund.shim.wire.engine.Process;
import io.rund.shim.wire.engine.StateResponse;
import java.io.PrintWriter;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParentCommand;

/** rund state. */
@Command(name = "state", description = "Shows a sandbox and its processes.")
final class StateCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  private record ProcessView(
      String execId, String status, int exitStatus, String exitedAt, boolean terminal) {
    static ProcessView of(Process process) {
      return new ProcessView(
          process.getExecId(),
          process.getStatus(),
          process.getExitStatus(),
          SandboxView.instant(process.getExitedAtNanos()),
          process.getTerminal());
    }

    String exit() {
      return exitedAt.isEmpty() ? "" : "%d at %s".formatted(exitStatus, exitedAt);
    }
  }

  private record View(
      SandboxView sandbox, String bundle, String engineSocket, List<ProcessView> processes) {}

  @Override
  public void run() {
    Engines.Found found = argument.find(rund);
    StateResponse state = Engines.ask(found.socket(), "State", found.ref(), StateResponse.parser());
    View view =
        new View(
            SandboxView.of(state.getSandbox()),
            state.getBundle(),
            found.socket().toString(),
            state.getProcessesList().stream().map(ProcessView::of).toList());
    rund.print(view, out -> print(view, out));
  }

  private static void print(View view, PrintWriter out) {
    SandboxView s = view.sandbox();
    out.printf("sandbox    %s (namespace %s)%n", s.id(), s.namespace());
    out.printf("status     %s%n", s.status());
    out.printf("pid        %d%n", s.pid());
    out.printf("size       %d vCPUs, %s%n", s.vcpus(), s.memory());
    out.printf("kernel     %s%n", s.kernel());
    out.printf("created    %s%n", s.createdAt());
    out.printf("bundle     %s%n", view.bundle());
    out.printf("engine     %s%n%n", view.engineSocket());
    Table table = new Table("PROCESS", "STATUS", "TERMINAL", "EXIT");
    for (ProcessView p : view.processes()) {
      table.row(
          p.execId().isEmpty() ? "(init)" : p.execId(),
          p.status(),
          p.terminal() ? "yes" : "no",
          p.exit());
    }
    table.print(out);
  }
}
