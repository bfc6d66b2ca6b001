package io.rund.shim.containerd;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.ContainerService;
import io.rund.core.sandbox.CreateRequest;
import io.rund.core.sandbox.ProcessState;
import io.rund.core.sandbox.ProcessState.Status;
import io.rund.core.ttrpc.TtrpcService;
import io.rund.core.ttrpc.TtrpcService.RequestContext;
import io.rund.shim.wire.sandbox.CreateSandboxRequest;
import io.rund.shim.wire.sandbox.CreateSandboxResponse;
import io.rund.shim.wire.sandbox.Metric;
import io.rund.shim.wire.sandbox.PingRequest;
import io.rund.shim.wire.sandbox.PingResponse;
import io.rund.shim.wire.sandbox.Platform;
import io.rund.shim.wire.sandbox.PlatformRequest;
import io.rund.shim.wire.sandbox.PlatformResponse;
import io.rund.shim.wire.sandbox.SandboxMetricsRequest;
import io.rund.shim.wire.sandbox.SandboxMetricsResponse;
import io.rund.shim.wire.sandbox.SandboxStatusRequest;
import io.rund.shim.wire.sandbox.SandboxStatusResponse;
import io.rund.shim.wire.sandbox.ShutdownSandboxRequest;
import io.rund.shim.wire.sandbox.ShutdownSandboxResponse;
import io.rund.shim.wire.sandbox.StartSandboxRequest;
import io.rund.shim.wire.sandbox.StartSandboxResponse;
import io.rund.shim.wire.sandbox.StopSandboxRequest;
import io.rund.shim.wire.sandbox.StopSandboxResponse;
import io.rund.shim.wire.sandbox.WaitSandboxRequest;
import io.rund.shim.wire.sandbox.WaitSandboxResponse;
import java.nio.file.Path;

/**
 * containerd's Sandbox service (containerd.runtime.sandbox.v1), for runtimes that CRI's
 * configuration gives {@code sandboxer = "shim"}. A sandbox is to the {@link ContainerService} the
 * same as that of a pause container: a container whose specification says that it is one.
 */
public final class SandboxService {
  private static final int SIGKILL = 9;

  private final ContainerService containers;
  private final Namespaces namespaces;

  private SandboxService(ContainerService containers) {
    this.containers = containers;
    this.namespaces = new Namespaces(containers);
  }

  public static TtrpcService over(ContainerService containers) {
    SandboxService sandboxes = new SandboxService(containers);
    return new TtrpcService("containerd.runtime.sandbox.v1.Sandbox")
        .method("CreateSandbox", CreateSandboxRequest.parser(), sandboxes::create)
        .method("StartSandbox", StartSandboxRequest.parser(), sandboxes::start)
        .method("Platform", PlatformRequest.parser(), sandboxes::platform)
        .method("StopSandbox", StopSandboxRequest.parser(), sandboxes::stop)
        .waitingMethod("WaitSandbox", WaitSandboxRequest.parser(), sandboxes::await)
        .method("SandboxStatus", SandboxStatusRequest.parser(), sandboxes::status)
        .method("PingSandbox", PingRequest.parser(), sandboxes::ping)
        .method("ShutdownSandbox", ShutdownSandboxRequest.parser(), sandboxes::shutdown)
        .method("SandboxMetrics", SandboxMetricsRequest.parser(), sandboxes::metrics);
  }

  private CreateSandboxResponse create(RequestContext context, CreateSandboxRequest request) {
    String id = request.getSandboxId();
    Path bundle = Path.of(request.getBundlePath());
    SandboxSpec.ensure(request);
    var _ =
        containers.create(
            new CreateRequest(
                namespaces.ofNew(context, id, bundle),
                id,
                bundle,
                TaskWire.rootfs(request.getRootfsList()),
                new CreateRequest.StdioPaths(false, "", "", "")),
            context.abandoned());
    return CreateSandboxResponse.getDefaultInstance();
  }

  private StartSandboxResponse start(RequestContext context, StartSandboxRequest request) {
    String namespace = namespaces.of(context, request.getSandboxId());
    int pid = containers.start(namespace, request.getSandboxId(), "");
    return StartSandboxResponse.newBuilder()
        .setPid(pid)
        .setCreatedAt(
            TaskWire.timestamp(containers.info(namespace, request.getSandboxId()).createdAtNanos()))
        .build();
  }

  private PlatformResponse platform(RequestContext context, PlatformRequest request) {
    return PlatformResponse.newBuilder()
        .setPlatform(Platform.newBuilder().setOs("linux").setArchitecture("amd64"))
        .build();
  }

  /** A sandbox has nothing to do before it ends, so there is nothing to wait for but its end. */
  private StopSandboxResponse stop(RequestContext context, StopSandboxRequest request)
      throws InterruptedException {
    String namespace = namespaces.of(context, request.getSandboxId());
    try {
      containers.kill(namespace, request.getSandboxId(), "", SIGKILL, true);
    } catch (RundException e) {
      // It has ended already: containerd may ask more than once.
      if (e.code() != ErrorCode.NOT_FOUND) {
        throw e;
      }
    }
    var _ = containers.await(namespace, request.getSandboxId(), "");
    return StopSandboxResponse.getDefaultInstance();
  }

  private WaitSandboxResponse await(RequestContext context, WaitSandboxRequest request)
      throws InterruptedException {
    ProcessState ended =
        containers.await(
            namespaces.of(context, request.getSandboxId()), request.getSandboxId(), "");
    return WaitSandboxResponse.newBuilder()
        .setExitStatus(ended.exitStatus())
        .setExitedAt(TaskWire.timestamp(ended.exitedAtNanos()))
        .build();
  }

  /** The states are those of CRI's PodSandboxState, by name. */
  private SandboxStatusResponse status(RequestContext context, SandboxStatusRequest request) {
    String id = request.getSandboxId();
    String namespace = namespaces.of(context, id);
    ProcessState state = containers.state(namespace, id, "");
    SandboxStatusResponse.Builder response =
        SandboxStatusResponse.newBuilder()
            .setSandboxId(id)
            .setPid(state.pid())
            .setState(state.status() == Status.RUNNING ? "SANDBOX_READY" : "SANDBOX_NOTREADY")
            .setCreatedAt(TaskWire.timestamp(containers.info(namespace, id).createdAtNanos()));
    if (state.exitedAtNanos() != 0) {
      response.setExitedAt(TaskWire.timestamp(state.exitedAtNanos()));
    }
    return response.build();
  }

  private PingResponse ping(RequestContext context, PingRequest request) {
    var _ =
        containers.state(
            namespaces.of(context, request.getSandboxId()), request.getSandboxId(), "");
    return PingResponse.getDefaultInstance();
  }

  /** The engine serves others, so only this sandbox ends. */
  private ShutdownSandboxResponse shutdown(RequestContext context, ShutdownSandboxRequest request) {
    try {
      var _ =
          containers.destroy(
              namespaces.of(context, request.getSandboxId()), request.getSandboxId());
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND) {
        throw e;
      }
    }
    return ShutdownSandboxResponse.getDefaultInstance();
  }

  private SandboxMetricsResponse metrics(RequestContext context, SandboxMetricsRequest request) {
    String id = request.getSandboxId();
    var metrics = MetricsWire.metrics(containers.stats(namespaces.of(context, id), id));
    return SandboxMetricsResponse.newBuilder()
        .setMetrics(
            Metric.newBuilder()
                .setTimestamp(TaskWire.timestamp(System.currentTimeMillis() * 1_000_000L))
                .setId(id)
                .setData(TaskWire.any(metrics)))
        .build();
  }
}
