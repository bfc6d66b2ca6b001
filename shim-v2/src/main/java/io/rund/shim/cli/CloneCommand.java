package io.rund.shim.cli;

import io.rund.shim.wire.engine.CloneRequest;
import io.rund.shim.wire.engine.CloneResponse;
import io.rund.shim.wire.engine.NewContainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParentCommand;

/** rund clone. */
@Command(
    name = "clone",
    description = {
      "Goes on with a sandbox of one container, which runs on, in a second one, and prints its id.",
      "The new one is none of containerd's: `rund exec` runs programs in it, `rund remove` ends it."
    })
final class CloneCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;
  @Mixin private MadeContainer made;

  @Override
  public void run() {
    Engines.Found found = argument.find(rund);
    NewContainer container = made.of(found.sandbox().getId());
    CloneResponse response =
        Engines.await(
            found.socket(),
            "Clone",
            CloneRequest.newBuilder().setContainer(found.ref()).setMade(container).build(),
            CloneResponse.parser());
    MadeContainer.print(rund, container.getId(), response.getPid());
  }
}
