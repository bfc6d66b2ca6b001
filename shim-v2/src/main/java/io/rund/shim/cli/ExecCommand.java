package io.rund.shim.cli;

import io.rund.shim.wire.engine.RunRequest;
import io.rund.shim.wire.engine.RunResponse;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** rund exec. Exits with the status of the program that it has run. */
@Command(
    name = "exec",
    description =
        "Runs a program in a container, as its own is run, without input or terminal. Options come before the container.")
final class ExecCommand implements Callable<Integer> {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "PROGRAM",
      description = "The program and its arguments.")
  private List<String> program;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Engines.Found found = argument.find(rund);
    try (OutputFifos output = new OutputFifos()) {
      RunResponse response =
          Engines.await(
              found.socket(),
              "Run",
              RunRequest.newBuilder()
                  .setContainer(found.ref())
                  .addAllArguments(program)
                  .setStdout(output.stdout().toString())
                  .setStderr(output.stderr().toString())
                  .build(),
              RunResponse.parser());
      output.awaitEnd();
      return response.getExitStatus();
    }
  }
}
