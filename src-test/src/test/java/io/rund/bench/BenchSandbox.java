package io.rund.bench;

import com.google.protobuf.Empty;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.engine.ContainerRef;
import io.rund.shim.wire.engine.Footprint;
import io.rund.shim.wire.engine.FootprintResponse;
import io.rund.shim.wire.engine.Phase;
import io.rund.shim.wire.engine.TimelineResponse;
import io.rund.shim.wire.task.CreateTaskRequest;
import io.rund.shim.wire.task.CreateTaskResponse;
import io.rund.shim.wire.task.DeleteRequest;
import io.rund.shim.wire.task.DeleteResponse;
import io.rund.shim.wire.task.KillRequest;
import io.rund.shim.wire.task.StartRequest;
import io.rund.shim.wire.task.StartResponse;
import io.rund.shim.wire.task.WaitRequest;
import io.rund.shim.wire.task.WaitResponse;
import io.rund.shim.wire.types.Mount;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;

/**
 * A sandbox whose container sleeps, on an overlay of its own; made and ended as containerd does.
 */
final class BenchSandbox implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofMinutes(10);
  private static final int SIGKILL = 9;

  private final TtrpcSocket connection;
  private final String id;
  private final Path bundle;
  private final Path image;
  private boolean created;

  BenchSandbox(TtrpcSocket connection, String id, Path bundle, Path image) {
    this.connection = connection;
    this.id = id;
    this.bundle = bundle;
    this.image = image;
  }

  /** Creates and starts it; the milliseconds that it took. */
  double start() {
    Mount overlay =
        Mount.newBuilder()
            .setType("overlay")
            .setSource("overlay")
            .addOptions("lowerdir=" + image)
            .addOptions("upperdir=" + bundle.resolve("upper"))
            .addOptions("workdir=" + bundle.resolve("work"))
            .build();
    CreateTaskRequest create =
        CreateTaskRequest.newBuilder()
            .setId(id)
            .setBundle(bundle.toString())
            .addRootfs(overlay)
            .build();
    long began = System.nanoTime();
    var _ = task("Create", create, CreateTaskResponse.parser());
    created = true;
    var _ = task("Start", StartRequest.newBuilder().setId(id).build(), StartResponse.parser());
    return (System.nanoTime() - began) / 1e6;
  }

  List<Phase> timeline() {
    return call(
            "rund.v1.Engine",
            "Timeline",
            ContainerRef.newBuilder().setId(id).build(),
            TimelineResponse.parser())
        .getPhasesList();
  }

  boolean isClone() {
    return timeline().stream().anyMatch(phase -> phase.getName().equals("clone VM"));
  }

  /** Milliseconds from the request to the end of a phase. */
  double until(String name) {
    return timeline().stream()
        .filter(phase -> phase.getName().equals(name))
        .mapToDouble(phase -> phase.getEndNanos() / 1e6)
        .max()
        .orElseThrow(() -> new IllegalStateException("no phase \"" + name + "\" in " + timeline()));
  }

  /** Its own among those of all sandboxes of its engine. */
  Footprint footprint(FootprintResponse all) {
    return all.getSandboxesList().stream()
        .filter(one -> one.getId().equals(id))
        .findFirst()
        .orElseThrow(() -> new IllegalStateException(id + " is gone"));
  }

  private <T extends MessageLite> T task(String method, MessageLite request, Parser<T> parser) {
    return call("containerd.task.v2.Task", method, request, parser);
  }

  private <T extends MessageLite> T call(
      String service, String method, MessageLite request, Parser<T> parser) {
    try {
      return connection.client().call(service, method, request, parser, TIMEOUT).join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException known ? known : e;
    }
  }

  @Override
  public void close() throws IOException {
    try (connection) {
      if (created) {
        KillRequest kill = KillRequest.newBuilder().setId(id).setSignal(SIGKILL).build();
        var _ = task("Kill", kill, Empty.parser());
        var _ = task("Wait", WaitRequest.newBuilder().setId(id).build(), WaitResponse.parser());
        DeleteRequest delete = DeleteRequest.newBuilder().setId(id).build();
        var _ = task("Delete", delete, DeleteResponse.parser());
      }
    }
    try (Stream<Path> files = Files.walk(bundle)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
