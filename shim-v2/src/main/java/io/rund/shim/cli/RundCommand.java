package io.rund.shim.cli;

import io.rund.core.config.RundConfig;
import io.rund.core.error.RundException;
import io.rund.shim.InstallRoot;
import io.rund.shim.Version;
import java.io.PrintWriter;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** rund: looks at the sandboxes of this host, saves and multiplies them, and looks at the host. */
@Command(
    name = "rund",
    description =
        "Looks at the sandboxes of this host, saves and clones them, and checks whether it can run any.",
    mixinStandardHelpOptions = true,
    versionProvider = RundCommand.VersionProvider.class,
    scope = ScopeType.INHERIT,
    subcommands = {
      ListCommand.class,
      StateCommand.class,
      KillCommand.class,
      TimelineCommand.class,
      OverheadCommand.class,
      SnapshotCommand.class,
      RestoreCommand.class,
      CloneCommand.class,
      ExecCommand.class,
      RemoveCommand.class,
      DoctorCommand.class,
      VersionCommand.class
    })
public final class RundCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Option(names = "--json", description = "Print JSON.", scope = ScopeType.INHERIT)
  private boolean json;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "The configuration file. Default: $$RUND_CONFIG, /etc/rund/rund.toml, or etc/rund.toml of"
              + " the installation.",
      scope = ScopeType.INHERIT)
  private Path config;

  @Option(
      names = "--state-dir",
      paramLabel = "DIR",
      description = "Where engines are looked for. Default: state_dir of the configuration.",
      scope = ScopeType.INHERIT)
  private Path stateDir;

  /** Prints rund's version for --version. */
  static final class VersionProvider implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"rund " + Version.current()};
    }
  }

  /** The program. Exits with 0, 1 for a failure, 2 for a wrong command line. */
  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  static CommandLine commandLine() {
    CommandLine rund = new CommandLine(new RundCommand());
    // What follows the container is another program's command line.
    var _ = rund.getSubcommands().get("exec").setStopAtPositional(true);
    return rund.setExecutionExceptionHandler(
        (failure, line, _) -> {
          if (!(failure instanceof RundException)) {
            throw failure;
          }
          line.getErr().println("rund: " + failure.getMessage());
          return CommandLine.ExitCode.SOFTWARE;
        });
  }

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }

  Path configFile() {
    return config == null ? InstallRoot.config() : config;
  }

  RundConfig config() {
    return RundConfig.read(configFile(), InstallRoot.find());
  }

  Engines engines() {
    return new Engines(stateDir == null ? config().stateDir() : stateDir);
  }

  /** Prints {@code model} as JSON if that was asked for, else what {@code text} prints. */
  void print(Object model, java.util.function.Consumer<PrintWriter> text) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(model));
    } else {
      text.accept(out);
    }
    out.flush();
  }
}
