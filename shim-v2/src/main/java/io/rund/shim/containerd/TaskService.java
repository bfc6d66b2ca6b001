package io.rund.shim.containerd;

import com.google.protobuf.Any;
import com.google.protobuf.Empty;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.ContainerService;
import io.rund.core.sandbox.CreateRequest;
import io.rund.core.sandbox.ProcessState;
import io.rund.core.ttrpc.TtrpcService;
import io.rund.core.ttrpc.TtrpcService.RequestContext;
import io.rund.shim.wire.task.CloseIORequest;
import io.rund.shim.wire.task.ConnectRequest;
import io.rund.shim.wire.task.ConnectResponse;
import io.rund.shim.wire.task.CreateTaskRequest;
import io.rund.shim.wire.task.CreateTaskResponse;
import io.rund.shim.wire.task.DeleteRequest;
import io.rund.shim.wire.task.DeleteResponse;
import io.rund.shim.wire.task.ExecProcessRequest;
import io.rund.shim.wire.task.KillRequest;
import io.rund.shim.wire.task.PauseRequest;
import io.rund.shim.wire.task.PidsRequest;
import io.rund.shim.wire.task.PidsResponse;
import io.rund.shim.wire.task.ResizePtyRequest;
import io.rund.shim.wire.task.ResumeRequest;
import io.rund.shim.wire.task.ShutdownRequest;
import io.rund.shim.wire.task.StartRequest;
import io.rund.shim.wire.task.StartResponse;
import io.rund.shim.wire.task.StateRequest;
import io.rund.shim.wire.task.StateResponse;
import io.rund.shim.wire.task.StatsRequest;
import io.rund.shim.wire.task.StatsResponse;
import io.rund.shim.wire.task.UpdateTaskRequest;
import io.rund.shim.wire.task.WaitRequest;
import io.rund.shim.wire.task.WaitResponse;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * containerd's Task service, under both its names (containerd.task.v2 and v3, the same messages):
 * translates, and leaves the work to the {@link ContainerService}. Checkpoint is not there and
 * answers UNIMPLEMENTED.
 */
public final class TaskService {
  private final ContainerService containers;
  private final Namespaces namespaces;
  private final String version;

  private TaskService(ContainerService containers, String version) {
    this.containers = containers;
    this.namespaces = new Namespaces(containers);
    this.version = version;
  }

  /** The services over {@code containers}; {@code version} is rund's. */
  public static List<TtrpcService> over(ContainerService containers, String version) {
    TaskService tasks = new TaskService(containers, version);
    return Stream.of("containerd.task.v2.Task", "containerd.task.v3.Task")
        .map(name -> tasks.named(name))
        .toList();
  }

  private TtrpcService named(String name) {
    TaskService tasks = this;
    return new TtrpcService(name)
        .method("Create", CreateTaskRequest.parser(), tasks::create)
        .method("Start", StartRequest.parser(), tasks::start)
        .method("State", StateRequest.parser(), tasks::state)
        .method("Delete", DeleteRequest.parser(), tasks::delete)
        .method("Exec", ExecProcessRequest.parser(), tasks::exec)
        .method("Kill", KillRequest.parser(), tasks::kill)
        .method("Pids", PidsRequest.parser(), tasks::pids)
        .method("CloseIO", CloseIORequest.parser(), tasks::closeIo)
        .method("ResizePty", ResizePtyRequest.parser(), tasks::resizePty)
        .waitingMethod("Wait", WaitRequest.parser(), tasks::await)
        .method("Stats", StatsRequest.parser(), tasks::stats)
        .method("Update", UpdateTaskRequest.parser(), tasks::update)
        .method("Connect", ConnectRequest.parser(), tasks::connect)
        .method("Shutdown", ShutdownRequest.parser(), tasks::shutdown)
        .method("Pause", PauseRequest.parser(), tasks::pause)
        .method("Resume", ResumeRequest.parser(), tasks::resume);
  }

  private CreateTaskResponse create(RequestContext context, CreateTaskRequest request) {
    if (!request.getCheckpoint().isEmpty()) {
      throw new RundException(
          ErrorCode.UNIMPLEMENTED,
          "container %s: rund cannot restore checkpoints".formatted(request.getId()));
    }
    int pid =
        containers.create(
            new CreateRequest(
                namespaces.ofNew(context, request.getId(), Path.of(request.getBundle())),
                request.getId(),
                Path.of(request.getBundle()),
                TaskWire.rootfs(request.getRootfsList()),
                new CreateRequest.StdioPaths(
                    request.getTerminal(),
                    request.getStdin(),
                    request.getStdout(),
                    request.getStderr())),
            context.abandoned());
    return CreateTaskResponse.newBuilder().setPid(pid).build();
  }

  private StartResponse start(RequestContext context, StartRequest request) {
    int pid =
        containers.start(
            namespaces.of(context, request.getId()), request.getId(), request.getExecId());
    return StartResponse.newBuilder().setPid(pid).build();
  }

  private StateResponse state(RequestContext context, StateRequest request) {
    return TaskWire.state(
        containers.state(
            namespaces.of(context, request.getId()), request.getId(), request.getExecId()));
  }

  private DeleteResponse delete(RequestContext context, DeleteRequest request) {
    return TaskWire.deleted(
        containers.delete(
            namespaces.of(context, request.getId()), request.getId(), request.getExecId()));
  }

  private Empty exec(RequestContext context, ExecProcessRequest request) {
    containers.exec(
        namespaces.of(context, request.getId()),
        request.getId(),
        request.getExecId(),
        request.getSpec().getValue().toByteArray(),
        new CreateRequest.StdioPaths(
            request.getTerminal(), request.getStdin(), request.getStdout(), request.getStderr()));
    return Empty.getDefaultInstance();
  }

  private Empty kill(RequestContext context, KillRequest request) {
    containers.kill(
        namespaces.of(context, request.getId()),
        request.getId(),
        request.getExecId(),
        request.getSignal(),
        request.getAll());
    return Empty.getDefaultInstance();
  }

  private PidsResponse pids(RequestContext context, PidsRequest request) {
    return TaskWire.pids(
        containers.processes(namespaces.of(context, request.getId()), request.getId()));
  }

  private Empty closeIo(RequestContext context, CloseIORequest request) {
    if (request.getStdin()) {
      containers.closeStdin(
          namespaces.of(context, request.getId()), request.getId(), request.getExecId());
    }
    return Empty.getDefaultInstance();
  }

  private Empty resizePty(RequestContext context, ResizePtyRequest request) {
    containers.resizeTerminal(
        namespaces.of(context, request.getId()),
        request.getId(),
        request.getExecId(),
        request.getHeight(),
        request.getWidth());
    return Empty.getDefaultInstance();
  }

  private WaitResponse await(RequestContext context, WaitRequest request)
      throws InterruptedException {
    ProcessState state =
        containers.await(
            namespaces.of(context, request.getId()), request.getId(), request.getExecId());
    return WaitResponse.newBuilder()
        .setExitStatus(state.exitStatus())
        .setExitedAt(TaskWire.timestamp(state.exitedAtNanos()))
        .build();
  }

  private StatsResponse stats(RequestContext context, StatsRequest request) {
    return StatsResponse.newBuilder()
        .setStats(
            TaskWire.any(
                MetricsWire.metrics(
                    containers.stats(namespaces.of(context, request.getId()), request.getId()))))
        .build();
  }

  private Empty update(RequestContext context, UpdateTaskRequest request) {
    Any resources = request.getResources();
    if (!resources.getTypeUrl().endsWith("/LinuxResources")) {
      throw RundException.invalid(
          "container %s: the new resources are of type \"%s\", not LinuxResources"
              .formatted(request.getId(), resources.getTypeUrl()));
    }
    containers.update(
        namespaces.of(context, request.getId()),
        request.getId(),
        resources.getValue().toByteArray());
    return Empty.getDefaultInstance();
  }

  /**
   * containerd asks this of every shim it knew before it was restarted. NOT_FOUND for a container
   * that is unknown (where runc's shim answers pid 0) tells it that an engine which has been
   * restarted too has lost it.
   */
  private ConnectResponse connect(RequestContext context, ConnectRequest request) {
    ProcessState init =
        containers.state(namespaces.of(context, request.getId()), request.getId(), "");
    return ConnectResponse.newBuilder()
        .setShimPid((int) ProcessHandle.current().pid())
        .setTaskPid(init.pid())
        .setVersion(version)
        .build();
  }

  /**
   * containerd asks this of a shim whose task it has deleted or could not create. The engine serves
   * others, so only what may be left of this one container ends.
   */
  private Empty shutdown(RequestContext context, ShutdownRequest request) {
    try {
      var _ = containers.destroy(namespaces.of(context, request.getId()), request.getId());
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND) {
        throw e;
      }
    }
    return Empty.getDefaultInstance();
  }

  private Empty pause(RequestContext context, PauseRequest request) {
    containers.pause(namespaces.of(context, request.getId()), request.getId());
    return Empty.getDefaultInstance();
  }

  private Empty resume(RequestContext context, ResumeRequest request) {
    containers.resume(namespaces.of(context, request.getId()), request.getId());
    return Empty.getDefaultInstance();
  }
}
