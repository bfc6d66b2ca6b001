package io.rund.shim.cli;

import io.rund.shim.wire.engine.RemoveResponse;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParentCommand;

/** rund remove. */
@Command(
    name = "remove",
    description = "Ends and removes a sandbox that `rund restore` or `rund clone` has made.")
final class RemoveCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  @Override
  public void run() {
    Engines.Found found = argument.find(rund);
    var _ = Engines.await(found.socket(), "Remove", found.ref(), RemoveResponse.parser());
    String id = found.sandbox().getId();
    rund.print(Map.of("id", id), out -> out.println("removed " + id));
  }
}
