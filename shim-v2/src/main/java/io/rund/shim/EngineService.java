package io.rund.shim;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.ContainerService;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import io.rund.core.sandbox.Leftovers;
import io.rund.core.sandbox.ProcessState;
import io.rund.core.sandbox.RestoredContainer;
import io.rund.core.sandbox.SandboxFootprint;
import io.rund.core.sandbox.SandboxInfo;
import io.rund.core.ttrpc.TtrpcService;
import io.rund.core.ttrpc.TtrpcService.RequestContext;
import io.rund.shim.containerd.TaskWire;
import io.rund.shim.wire.engine.CloneRequest;
import io.rund.shim.wire.engine.CloneResponse;
import io.rund.shim.wire.engine.ContainerRef;
import io.rund.shim.wire.engine.DestroyRequest;
import io.rund.shim.wire.engine.DestroyResponse;
import io.rund.shim.wire.engine.Footprint;
import io.rund.shim.wire.engine.FootprintRequest;
import io.rund.shim.wire.engine.FootprintResponse;
import io.rund.shim.wire.engine.HelloRequest;
import io.rund.shim.wire.engine.HelloResponse;
import io.rund.shim.wire.engine.KillRequest;
import io.rund.shim.wire.engine.KillResponse;
import io.rund.shim.wire.engine.ListRequest;
import io.rund.shim.wire.engine.ListResponse;
import io.rund.shim.wire.engine.NewContainer;
import io.rund.shim.wire.engine.Phase;
import io.rund.shim.wire.engine.Process;
import io.rund.shim.wire.engine.RemoveResponse;
import io.rund.shim.wire.engine.RestoreRequest;
import io.rund.shim.wire.engine.RestoreResponse;
import io.rund.shim.wire.engine.RunRequest;
import io.rund.shim.wire.engine.RunResponse;
import io.rund.shim.wire.engine.Sandbox;
import io.rund.shim.wire.engine.SnapshotRequest;
import io.rund.shim.wire.engine.SnapshotResponse;
import io.rund.shim.wire.engine.StateResponse;
import io.rund.shim.wire.engine.TimelineResponse;
import io.rund.shim.wire.task.DeleteResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What the launcher and the rund command ask of the engine (rund.v1.Engine). */
final class EngineService {
  /** What a shell reports for a process that SIGKILL ended. */
  private static final int KILLED = 137;

  private final ContainerService containers;

  private volatile long helloNanos;

  EngineService(ContainerService containers) {
    this.containers = containers;
    greeted();
  }

  TtrpcService service() {
    return new TtrpcService("rund.v1.Engine")
        .method("Hello", HelloRequest.parser(), this::hello)
        .method("Destroy", DestroyRequest.parser(), this::destroy)
        .method("List", ListRequest.parser(), this::list)
        .method("State", ContainerRef.parser(), this::state)
        .method("Kill", KillRequest.parser(), this::kill)
        .method("Timeline", ContainerRef.parser(), this::timeline)
        .method("Footprint", FootprintRequest.parser(), this::footprint)
        .method("Snapshot", SnapshotRequest.parser(), this::snapshot)
        .method("Restore", RestoreRequest.parser(), this::restore)
        .method("Clone", CloneRequest.parser(), this::clone)
        .method("Remove", ContainerRef.parser(), this::remove)
        .method("Run", RunRequest.parser(), this::run);
  }

  /** When a launcher last was about to send containerd here, as of System.nanoTime. */
  long helloNanos() {
    return helloNanos;
  }

  /** A launcher says Hello, or hears that the engine that it started is ready. */
  void greeted() {
    helloNanos = System.nanoTime();
  }

  private HelloResponse hello(RequestContext context, HelloRequest request) {
    greeted();
    return HelloResponse.newBuilder()
        .setVersion(Version.current())
        .setPid((int) ProcessHandle.current().pid())
        .build();
  }

  /** A container that is unknown ended with the engine that knew it; what that left is removed. */
  private DestroyResponse destroy(RequestContext context, DestroyRequest request) {
    DeleteResponse deleted;
    try {
      ProcessState last = containers.destroy(request.getNamespace(), request.getId());
      deleted = TaskWire.deleted(last);
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND) {
        throw e;
      }
      Leftovers.remove(Path.of(request.getBundle()));
      deleted = TaskWire.deleted(KILLED, System.currentTimeMillis() * 1_000_000L);
    }
    return DestroyResponse.newBuilder().setDeleteResponse(deleted.toByteString()).build();
  }

  private ListResponse list(RequestContext context, ListRequest request) {
    ListResponse.Builder response = ListResponse.newBuilder();
    containers.list().forEach(info -> response.addSandboxes(sandbox(info)));
    return response.build();
  }

  private static Sandbox sandbox(SandboxInfo info) {
    return Sandbox.newBuilder()
        .setNamespace(info.namespace())
        .setId(info.id())
        .setPid(info.pid())
        .setStatus(word(info.status()))
        .setVcpus(info.vcpus())
        .setMemoryBytes(info.memoryBytes())
        .setCreatedAtNanos(info.createdAtNanos())
        .setKernelRelease(info.kernelRelease())
        .build();
  }

  private static String word(ProcessState.Status status) {
    return status.name().toLowerCase(Locale.ROOT);
  }

  private StateResponse state(RequestContext context, ContainerRef ref) {
    SandboxInfo info = find(ref);
    StateResponse.Builder response = StateResponse.newBuilder().setSandbox(sandbox(info));
    for (ProcessState process : containers.processes(info.namespace(), info.id())) {
      response
          .setBundle(process.bundle())
          .addProcesses(
              Process.newBuilder()
                  .setExecId(process.execId())
                  .setPid(process.pid())
                  .setStatus(word(process.status()))
                  .setExitStatus(process.exitStatus())
                  .setExitedAtNanos(process.exitedAtNanos())
                  .setTerminal(process.stdio().terminal()));
    }
    return response.build();
  }

  private KillResponse kill(RequestContext context, KillRequest request) {
    SandboxInfo info = find(request.getContainer());
    containers.kill(info.namespace(), info.id(), "", request.getSignal(), false);
    return KillResponse.getDefaultInstance();
  }

  private TimelineResponse timeline(RequestContext context, ContainerRef ref) {
    SandboxInfo info = find(ref);
    TimelineResponse.Builder response = TimelineResponse.newBuilder();
    for (var phase : containers.timeline(info.namespace(), info.id()).phases()) {
      response.addPhases(
          Phase.newBuilder()
              .setName(phase.name())
              .setStartNanos(phase.startNanos())
              .setEndNanos(phase.endNanos()));
    }
    return response.build();
  }

  private FootprintResponse footprint(RequestContext context, FootprintRequest request) {
    FootprintResponse.Builder response =
        FootprintResponse.newBuilder().setPid((int) ProcessHandle.current().pid());
    for (SandboxFootprint sandbox : containers.footprints()) {
      Footprint.Builder one = response.addSandboxesBuilder();
      one.setNamespace(sandbox.namespace())
          .setId(sandbox.id())
          .setVcpus(sandbox.vcpus())
          .setMemoryBytes(sandbox.memoryBytes())
          .setGuestTotalBytes(sandbox.guestTotalBytes())
          .setGuestAvailableBytes(sandbox.guestAvailableBytes())
          .addAllAnchors(sandbox.anchors());
      for (var range : sandbox.ram()) {
        one.addRamBuilder().setStart(range.start()).setEnd(range.end());
      }
    }
    for (var pool : containers.pools()) {
      response.addPoolsBuilder().setName(pool.name()).setReady(pool.ready()).setMost(pool.most());
    }
    return response.build();
  }

  private SnapshotResponse snapshot(RequestContext context, SnapshotRequest request) {
    SandboxInfo info = find(request.getContainer());
    containers.snapshot(info.namespace(), info.id(), Path.of(request.getDirectory()));
    return SnapshotResponse.getDefaultInstance();
  }

  private RestoreResponse restore(RequestContext context, RestoreRequest request) {
    RestoredContainer made = made(request.getNamespace(), request.getMade());
    int pid = containers.restore(Path.of(request.getDirectory()), made, context.abandoned());
    return RestoreResponse.newBuilder().setPid(pid).build();
  }

  private CloneResponse clone(RequestContext context, CloneRequest request) {
    SandboxInfo info = find(request.getContainer());
    RestoredContainer made = made(info.namespace(), request.getMade());
    int pid = containers.clone(info.namespace(), info.id(), made, context.abandoned());
    return CloneResponse.newBuilder().setPid(pid).build();
  }

  private static RestoredContainer made(String namespace, NewContainer made) {
    String output = made.getOutput().isEmpty() ? "" : "file://" + made.getOutput();
    return new RestoredContainer(
        namespace,
        made.getId(),
        new StdioPaths(false, "", output, output),
        Optional.of(made.getNetworkNamespace()).filter(path -> !path.isEmpty()).map(Path::of));
  }

  private RemoveResponse remove(RequestContext context, ContainerRef ref) {
    SandboxInfo info = find(ref);
    var _ = containers.remove(info.namespace(), info.id());
    return RemoveResponse.getDefaultInstance();
  }

  private RunResponse run(RequestContext context, RunRequest request) throws InterruptedException {
    SandboxInfo info = find(request.getContainer());
    int status =
        containers.run(
            info.namespace(),
            info.id(),
            request.getArgumentsList(),
            new StdioPaths(false, "", request.getStdout(), request.getStderr()),
            context.abandoned());
    return RunResponse.newBuilder().setExitStatus(status).build();
  }

  /** A person names a container by its id alone, as long as that is clear. */
  private SandboxInfo find(ContainerRef ref) {
    List<SandboxInfo> found =
        containers.list().stream()
            .filter(info -> info.id().equals(ref.getId()))
            .filter(
                info -> ref.getNamespace().isEmpty() || info.namespace().equals(ref.getNamespace()))
            .toList();
    if (found.isEmpty()) {
      throw RundException.notFound("there is no container " + ref.getId());
    }
    if (found.size() > 1) {
      throw RundException.invalid(
          "several namespaces have a container %s: %s; name one"
              .formatted(
                  ref.getId(), found.stream().map(SandboxInfo::namespace).sorted().toList()));
    }
    return found.getFirst();
  }
}
