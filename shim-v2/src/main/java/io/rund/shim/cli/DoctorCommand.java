package io.rund.shim.cli;

import io.rund.core.config.RundConfig;
import io.rund.core.error.RundException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParentCommand;

/** rund doctor. Exits with 1 if anything is wrong. */
@Command(name = "doctor", description = "Checks whether this host can run sandboxes.")
final class DoctorCommand implements Callable<Integer> {
  @ParentCommand private RundCommand rund;

  @Override
  public Integer call() {
    List<Check> checks = checks();
    rund.print(checks, out -> print(checks, out));
    return checks.stream().allMatch(Check::ok) ? 0 : 1;
  }

  private List<Check> checks() {
    List<Check> checks = new ArrayList<>();
    checks.add(KvmCheck.run());
    try {
      RundConfig config = rund.config();
      checks.add(Check.ok("configuration", rund.configFile().toString()));
      checks.add(FileChecks.kernel(config.kernel()));
      checks.add(FileChecks.initramfs(config.initramfs()));
      checks.add(FileChecks.anchor(config.anchor()));
    } catch (RundException e) {
      checks.add(Check.failed("configuration", e.getMessage(), "correct " + rund.configFile()));
    }
    checks.add(FileChecks.cgroups(Path.of("/sys/fs/cgroup")));
    checks.add(
        ModuleChecks.network(
            Path.of("/lib/modules", System.getProperty("os.version")), Path.of("/sys/module")));
    checks.addAll(ContainerdChecks.of(Path.of("/proc")));
    return checks;
  }

  private static void print(List<Check> checks, PrintWriter out) {
    int width = checks.stream().mapToInt(check -> check.name().length()).max().orElse(0);
    for (Check check : checks) {
      String name = check.name() + " ".repeat(width - check.name().length());
      out.printf("%-6s  %s  %s%n", check.ok() ? "ok" : "WRONG", name, check.detail());
      if (!check.ok()) {
        out.printf("        %s  mend: %s%n", " ".repeat(width), check.remedy());
      }
    }
  }
}
