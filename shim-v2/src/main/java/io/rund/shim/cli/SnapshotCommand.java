package io.rund.shim.cli;

import io.rund.shim.wire.engine.SnapshotRequest;
import io.rund.shim.wire.engine.SnapshotResponse;
import java.nio.file.Path;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** rund snapshot. */
@Command(
    name = "snapshot",
    description = "Writes a sandbox of one container, which runs on, into a folder.")
final class SnapshotCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  @Parameters(index = "1", paramLabel = "DIR", description = "The folder, which is not there yet.")
  private Path directory;

  @Override
  public void run() {
    Engines.Found found = argument.find(rund);
    Path target = directory.toAbsolutePath().normalize();
    var _ =
        Engines.await(
            found.socket(),
            "Snapshot",
            SnapshotRequest.newBuilder()
                .setContainer(found.ref())
                .setDirectory(target.toString())
                .build(),
            SnapshotResponse.parser());
    String id = found.sandbox().getId();
    rund.print(
        Map.of("id", id, "directory", target.toString()),
        out -> out.println("wrote " + id + " to " + target));
  }
}
