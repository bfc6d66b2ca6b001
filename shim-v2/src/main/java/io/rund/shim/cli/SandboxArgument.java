package io.rund.shim.cli;

import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** How a command line names a sandbox. */
final class SandboxArgument {
  @Parameters(index = "0", paramLabel = "ID", description = "The container's id.")
  private String id;

  @Option(
      names = {"-n", "--namespace"},
      defaultValue = "",
      description = "The containerd namespace, if several have the id.")
  private String namespace;

  Engines.Found find(RundCommand rund) {
    return rund.engines().find(namespace, id);
  }
}
