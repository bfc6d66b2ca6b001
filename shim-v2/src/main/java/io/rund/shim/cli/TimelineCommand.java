package io.rund.shim.cli;

import io.rund.shim.wire.engine.TimelineResponse;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParentCommand;

/** rund timeline. */
@Command(name = "timeline", description = "Draws where the start-up of a sandbox took its time.")
final class TimelineCommand implements Runnable {
  @ParentCommand private RundCommand rund;
  @Mixin private SandboxArgument argument;

  private record View(String id, List<Waterfall.Phase> phases) {}

  @Override
  public void run() {
    Engines.Found found = argument.find(rund);
    List<Waterfall.Phase> phases =
        Engines.ask(found.socket(), "Timeline", found.ref(), TimelineResponse.parser())
            .getPhasesList()
            .stream()
            .map(p -> new Waterfall.Phase(p.getName(), p.getStartNanos(), p.getEndNanos()))
            .toList();
    rund.print(
        new View(found.sandbox().getId(), phases),
        out -> Waterfall.lines(phases, width()).forEach(out::println));
  }

  private static int width() {
    String columns = System.getenv("COLUMNS");
    return columns != null && columns.matches("\\d{1,4}") ? Integer.parseInt(columns) : 100;
  }
}
