package io.rund.shim.cli;

import io.rund.shim.wire.engine.KillRequest;
import io.rund.shim.wire.engine.KillResponse;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** rund kill. */
@Command(name = "kill", description = "Sends a signal to a container's first process.")
final class KillCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  @Parameters(
      index = "1",
      paramLabel = "SIGNAL",
      defaultValue = "TERM",
      description = "Name or number. Default: ${DEFAULT-VALUE}.")
  private String signal;

  @Override
  public void run() {
    int number = Signals.parse(signal);
    Engines.Found found = argument.find(rund);
    KillRequest request =
        KillRequest.newBuilder().setContainer(found.ref()).setSignal(number).build();
    var _ = Engines.ask(found.socket(), "Kill", request, KillResponse.parser());
    String id = found.sandbox().getId();
    rund.print(
        Map.of("id", id, "signal", number),
        out -> out.println("sent signal " + number + " to " + id));
  }
}
