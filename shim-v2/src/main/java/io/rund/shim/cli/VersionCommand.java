package io.rund.shim.cli;

import io.rund.core.error.RundException;
import io.rund.shim.Version;
import io.rund.shim.wire.engine.HelloRequest;
import io.rund.shim.wire.engine.HelloResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParentCommand;

/** rund version. */
@Command(name = "version", description = "Shows the version of this command and of the engines.")
final class VersionCommand implements Runnable {
  @ParentCommand private RundCommand rund;

  private record EngineView(String socket, int pid, String version) {}

  private record View(String version, List<EngineView> engines) {}

  @Override
  public void run() {
    List<EngineView> engines = new ArrayList<>();
    for (Path socket : rund.engines().sockets()) {
      try {
        HelloResponse hello =
            Engines.ask(socket, "Hello", HelloRequest.getDefaultInstance(), HelloResponse.parser());
        engines.add(new EngineView(socket.toString(), hello.getPid(), hello.getVersion()));
      } catch (RundException e) {
        engines.add(new EngineView(socket.toString(), 0, "does not answer: " + e.getMessage()));
      }
    }
    View view = new View(Version.current(), engines);
    rund.print(
        view,
        out -> {
          out.println("rund " + view.version());
          for (EngineView engine : engines) {
            out.printf("engine %s pid %d %s%n", engine.version(), engine.pid(), engine.socket());
          }
        });
  }
}
