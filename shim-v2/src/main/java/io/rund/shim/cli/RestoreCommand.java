package io.rund.shim.cli;

import io.rund.shim.wire.engine.NewContainer;
import io.rund.shim.wire.engine.RestoreRequest;
import io.rund.shim.wire.engine.RestoreResponse;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** rund restore. */
@Command(
    name = "restore",
    description = {
      "Goes on with what `rund snapshot` has written, and prints its id.",
      "It is none of containerd's: `rund exec` runs programs in it, `rund remove` ends it."
    })
final class RestoreCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private MadeContainer made;

  @Parameters(index = "0", paramLabel = "DIR", description = "What was written.")
  private Path directory;

  @Option(
      names = {"-n", "--namespace"},
      defaultValue = "default",
      description = "The namespace of the new container. Default: ${DEFAULT-VALUE}.")
  private String namespace;

  @Option(
      names = "--address",
      paramLabel = "SOCKET",
      defaultValue = "${env:CONTAINERD_ADDRESS:-/run/containerd/containerd.sock}",
      description =
          "The containerd that an engine tells of its containers, if one has to be started. Default:"
              + " ${DEFAULT-VALUE}.")
  private String containerd;

  @Override
  public void run() {
    Path source = directory.toAbsolutePath().normalize();
    NewContainer container = made.of(source.getFileName().toString());
    String id = container.getId();
    Path socket = new EngineStart(rund.configFile(), containerd).engine(namespace, id);
    RestoreResponse response =
        Engines.await(
            socket,
            "Restore",
            RestoreRequest.newBuilder()
                .setDirectory(source.toString())
                .setNamespace(namespace)
                .setMade(container)
                .build(),
            RestoreResponse.parser());
    MadeContainer.print(rund, id, response.getPid());
  }
}
