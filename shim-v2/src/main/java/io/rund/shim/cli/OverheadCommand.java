package io.rund.shim.cli;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.shim.wire.engine.FootprintRequest;
import io.rund.shim.wire.engine.FootprintResponse;
import io.rund.shim.wire.engine.Pool;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** rund overhead. */
@Command(
    name = "overhead",
    description = "Shows what sandboxes cost on the host and inside, and what to declare of it.")
final class OverheadCommand implements Runnable {
  private static final Path PROCFS = Path.of("/proc");

  /** How long the engines' use of the CPU is watched. */
  private static final Duration WATCHED = Duration.ofSeconds(1);

  @ParentCommand private RundCommand rund;

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "ID",
      description = "A sandbox, to see its cost by part. Default: all, a line each.")
  private String id;

  @Option(
      names = {"-n", "--namespace"},
      defaultValue = "",
      description = "The containerd namespace, if several have the id.")
  private String namespace;

  /**
   * @param pools what engines have made for the sandboxes to come
   */
  private record View(List<Overhead> sandboxes, List<EnginePool> pools, PodFixed podFixed) {}

  /** A pool of the engine with process id {@code engine}; see {@link Pool}. */
  private record EnginePool(int engine, String name, int ready, int most) {}

  @Override
  public void run() {
    List<FootprintResponse> engines = footprints();
    List<Overhead> all = new ArrayList<>();
    engines.forEach(engine -> all.addAll(Overhead.measure(PROCFS, engine)));
    List<Overhead> shown =
        all.stream()
            .filter(one -> id == null || one.id().equals(id))
            .filter(one -> namespace.isEmpty() || one.namespace().equals(namespace))
            .toList();
    if (shown.isEmpty() && id != null) {
      throw RundException.notFound(
          "there is no sandbox " + id + "; `rund overhead` shows those there are");
    }
    double cpu = all.isEmpty() ? 0 : cpuMillisPerSecond(engines) / all.size();
    View view =
        new View(shown, pools(engines), PodFixed.of(rund.config().memoryOverhead(), all, cpu));
    rund.print(view, out -> print(view, out));
  }

  private List<FootprintResponse> footprints() {
    List<FootprintResponse> engines = new ArrayList<>();
    for (Path socket : rund.engines().sockets()) {
      try {
        FootprintRequest request = FootprintRequest.getDefaultInstance();
        engines.add(Engines.ask(socket, "Footprint", request, FootprintResponse.parser()));
      } catch (RundException e) {
        // A socket that an engine left behind is no engine.
        if (e.code() != ErrorCode.UNAVAILABLE) {
          throw e;
        }
      }
    }
    return engines;
  }

  private static List<EnginePool> pools(List<FootprintResponse> engines) {
    List<EnginePool> pools = new ArrayList<>();
    for (FootprintResponse engine : engines) {
      for (Pool pool : engine.getPoolsList()) {
        pools.add(new EnginePool(engine.getPid(), pool.getName(), pool.getReady(), pool.getMost()));
      }
    }
    return pools;
  }

  private static double cpuMillisPerSecond(List<FootprintResponse> engines) {
    long before = cpuMillis(engines);
    long began = System.nanoTime();
    try {
      Thread.sleep(WATCHED);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return (cpuMillis(engines) - before) * 1e9 / (System.nanoTime() - began);
  }

  private static long cpuMillis(List<FootprintResponse> engines) {
    return engines.stream()
        .mapToLong(engine -> PodFixed.cpuMillis(PROCFS.resolve(Integer.toString(engine.getPid()))))
        .sum();
  }

  private void print(View view, PrintWriter out) {
    if (id == null) {
      Table table =
          new Table("NAMESPACE", "ID", "MEMORY", "TOUCHED", "HOST, BEYOND IT", "GUEST KEEPS");
      for (Overhead one : view.sandboxes()) {
        table.row(
            one.namespace(),
            one.id(),
            kib(one.guest().memory()),
            kib(one.host().guestRam()),
            kib(one.host().beyondGuestRam()),
            kib(one.guest().overhead()));
      }
      table.print(out);
      out.println();
      Table pools = new Table("ENGINE", "KEPT READY", "NOW", "AT MOST");
      view.pools().forEach(one -> pools.row(one.engine(), one.name(), one.ready(), one.most()));
      pools.print(out);
    } else {
      view.sandboxes().forEach(one -> parts(one, out));
    }
    out.printf(
        "%noverhead:%n  podFixed: {memory: \"%s\", cpu: \"%s\"}%n",
        view.podFixed().memory(), view.podFixed().cpu());
  }

  private static void parts(Overhead one, PrintWriter out) {
    Overhead.Host host = one.host();
    Overhead.Guest guest = one.guest();
    out.printf("sandbox %s (namespace %s)%n%n", one.id(), one.namespace());
    Table table = new Table("WHERE", "WHAT", "SIZE");
    table.row("host", "guest RAM that was touched", kib(host.guestRam()));
    table.row("host", "anchors", kib(host.anchors()));
    table.row("host", "engine, this sandbox's share", kib(host.engineShare()));
    table.row("host", "its page tables, likewise", kib(host.pageTables()));
    table.row("host", "kernel stacks, counted", kib(host.kernelStacks()));
    table.row("host", "in all, beyond guest RAM", kib(host.beyondGuestRam()));
    table.row("guest", "memory of the VM", kib(guest.memory()));
    table.row("guest", "reserved by the kernel", kib(guest.kernelReserved()));
    table.row("guest", "kernel and agent, nothing else running", kib(guest.kernelAndAgent()));
    table.row("guest", "left for containers", kib(guest.left()));
    table.print(out);
  }

  private static String kib(long bytes) {
    return bytes / 1024 + " KiB";
  }
}
