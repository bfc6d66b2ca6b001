package io.rund.shim.cli;

import io.rund.shim.wire.engine.NewContainer;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import picocli.CommandLine.Option;

/** How a command line describes a container that is to be made of another one. */
final class MadeContainer {
  @Option(
      names = "--id",
      paramLabel = "ID",
      description = "The id of the new container. Default: that of the old one and a number.")
  private String id;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "Appends what its program writes from now on. Default: nothing keeps it.")
  private Path output;

  @Option(
      names = "--netns",
      paramLabel = "PATH",
      description = "The network namespace whose interfaces it gets. Default: it has no network.")
  private Path networkNamespace;

  /** {@code old} is what it is made of. */
  NewContainer of(String old) {
    NewContainer.Builder made =
        NewContainer.newBuilder()
            .setId(
                id == null
                    ? old + "-" + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt())
                    : id);
    if (output != null) {
      made.setOutput(output.toAbsolutePath().normalize().toString());
    }
    if (networkNamespace != null) {
      made.setNetworkNamespace(networkNamespace.toAbsolutePath().normalize().toString());
    }
    return made.build();
  }

  static void print(RundCommand rund, String id, int pid) {
    rund.print(Map.of("id", id, "pid", pid), out -> out.println(id));
  }
}
