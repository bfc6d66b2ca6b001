package io.rund.e2e.cri;

import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.rund.e2e.cri.wire.AttachRequest;
import io.rund.e2e.cri.wire.AttachResponse;
import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.ContainerStats;
import io.rund.e2e.cri.wire.ContainerStatsRequest;
import io.rund.e2e.cri.wire.ContainerStatsResponse;
import io.rund.e2e.cri.wire.ContainerStatus;
import io.rund.e2e.cri.wire.ContainerStatusRequest;
import io.rund.e2e.cri.wire.ContainerStatusResponse;
import io.rund.e2e.cri.wire.CreateContainerRequest;
import io.rund.e2e.cri.wire.CreateContainerResponse;
import io.rund.e2e.cri.wire.ExecRequest;
import io.rund.e2e.cri.wire.ExecResponse;
import io.rund.e2e.cri.wire.ExecSyncRequest;
import io.rund.e2e.cri.wire.ExecSyncResponse;
import io.rund.e2e.cri.wire.LinuxContainerResources;
import io.rund.e2e.cri.wire.ListPodSandboxRequest;
import io.rund.e2e.cri.wire.ListPodSandboxResponse;
import io.rund.e2e.cri.wire.PodSandbox;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import io.rund.e2e.cri.wire.PodSandboxStatus;
import io.rund.e2e.cri.wire.PodSandboxStatusRequest;
import io.rund.e2e.cri.wire.PodSandboxStatusResponse;
import io.rund.e2e.cri.wire.PortForwardRequest;
import io.rund.e2e.cri.wire.PortForwardResponse;
import io.rund.e2e.cri.wire.RemoveContainerRequest;
import io.rund.e2e.cri.wire.RemoveContainerResponse;
import io.rund.e2e.cri.wire.RemovePodSandboxRequest;
import io.rund.e2e.cri.wire.RemovePodSandboxResponse;
import io.rund.e2e.cri.wire.RunPodSandboxRequest;
import io.rund.e2e.cri.wire.RunPodSandboxResponse;
import io.rund.e2e.cri.wire.StartContainerRequest;
import io.rund.e2e.cri.wire.StartContainerResponse;
import io.rund.e2e.cri.wire.StopContainerRequest;
import io.rund.e2e.cri.wire.StopContainerResponse;
import io.rund.e2e.cri.wire.StopPodSandboxRequest;
import io.rund.e2e.cri.wire.StopPodSandboxResponse;
import io.rund.e2e.cri.wire.UpdateContainerResourcesRequest;
import io.rund.e2e.cri.wire.UpdateContainerResourcesResponse;
import io.rund.e2e.cri.wire.VersionRequest;
import io.rund.e2e.cri.wire.VersionResponse;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The calls that the kubelet makes of containerd (runtime.v1.RuntimeService). Blocking; a failure
 * is io.grpc.StatusRuntimeException.
 */
public final class CriClient implements AutoCloseable {
  /** For emulated hosts: a guest's boot takes half a minute there when others are at work. */
  private static final Duration BOUND = Duration.ofMinutes(4);

  private final ManagedChannel channel;
  private final Duration bound;

  /** containerd's gRPC listens at {@code address}, or something that leads there. */
  public CriClient(InetSocketAddress address) {
    this(address, BOUND);
  }

  /**
   * @param bound of each call
   */
  public CriClient(InetSocketAddress address, Duration bound) {
    this.bound = bound;
    channel =
        NettyChannelBuilder.forAddress(address)
            .usePlaintext()
            .overrideAuthority("localhost")
            .build();
  }

  private <R extends Message> R call(String method, Message request, R response) {
    MethodDescriptor<Message, R> descriptor =
        MethodDescriptor.<Message, R>newBuilder()
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName("runtime.v1.RuntimeService/" + method)
            .setRequestMarshaller(ProtoUtils.marshaller(request))
            .setResponseMarshaller(ProtoUtils.marshaller(response))
            .build();
    return ClientCalls.blockingUnaryCall(
        channel,
        descriptor,
        CallOptions.DEFAULT.withDeadlineAfter(bound.toSeconds(), TimeUnit.SECONDS),
        request);
  }

  public VersionResponse version() {
    return call(
        "Version", VersionRequest.getDefaultInstance(), VersionResponse.getDefaultInstance());
  }

  /** Returns the pod's id. {@code handler} is the name of a runtime in containerd's config. */
  public String runPod(PodSandboxConfig config, String handler) {
    return call(
            "RunPodSandbox",
            RunPodSandboxRequest.newBuilder().setConfig(config).setRuntimeHandler(handler).build(),
            RunPodSandboxResponse.getDefaultInstance())
        .getPodSandboxId();
  }

  public PodSandboxStatus podStatus(String pod) {
    return call(
            "PodSandboxStatus",
            PodSandboxStatusRequest.newBuilder().setPodSandboxId(pod).build(),
            PodSandboxStatusResponse.getDefaultInstance())
        .getStatus();
  }

  public List<PodSandbox> pods() {
    return call(
            "ListPodSandbox",
            ListPodSandboxRequest.getDefaultInstance(),
            ListPodSandboxResponse.getDefaultInstance())
        .getItemsList();
  }

  public void stopPod(String pod) {
    var _ =
        call(
            "StopPodSandbox",
            StopPodSandboxRequest.newBuilder().setPodSandboxId(pod).build(),
            StopPodSandboxResponse.getDefaultInstance());
  }

  public void removePod(String pod) {
    var _ =
        call(
            "RemovePodSandbox",
            RemovePodSandboxRequest.newBuilder().setPodSandboxId(pod).build(),
            RemovePodSandboxResponse.getDefaultInstance());
  }

  /** Returns the container's id. */
  public String create(String pod, PodSandboxConfig podConfig, ContainerConfig config) {
    return call(
            "CreateContainer",
            CreateContainerRequest.newBuilder()
                .setPodSandboxId(pod)
                .setConfig(config)
                .setSandboxConfig(podConfig)
                .build(),
            CreateContainerResponse.getDefaultInstance())
        .getContainerId();
  }

  public void start(String container) {
    var _ =
        call(
            "StartContainer",
            StartContainerRequest.newBuilder().setContainerId(container).build(),
            StartContainerResponse.getDefaultInstance());
  }

  /** SIGTERM, and SIGKILL after {@code grace}. */
  public void stop(String container, Duration grace) {
    var _ =
        call(
            "StopContainer",
            StopContainerRequest.newBuilder()
                .setContainerId(container)
                .setTimeout(grace.toSeconds())
                .build(),
            StopContainerResponse.getDefaultInstance());
  }

  public void remove(String container) {
    var _ =
        call(
            "RemoveContainer",
            RemoveContainerRequest.newBuilder().setContainerId(container).build(),
            RemoveContainerResponse.getDefaultInstance());
  }

  public ContainerStatus status(String container) {
    return call(
            "ContainerStatus",
            ContainerStatusRequest.newBuilder().setContainerId(container).build(),
            ContainerStatusResponse.getDefaultInstance())
        .getStatus();
  }

  public ContainerStats stats(String container) {
    return call(
            "ContainerStats",
            ContainerStatsRequest.newBuilder().setContainerId(container).build(),
            ContainerStatsResponse.getDefaultInstance())
        .getStats();
  }

  public void update(String container, LinuxContainerResources resources) {
    var _ =
        call(
            "UpdateContainerResources",
            UpdateContainerResourcesRequest.newBuilder()
                .setContainerId(container)
                .setLinux(resources)
                .build(),
            UpdateContainerResourcesResponse.getDefaultInstance());
  }

  /** Runs a command to its end; zero {@code timeout} is none. */
  public ExecSyncResponse exec(String container, Duration timeout, String... command) {
    return call(
        "ExecSync",
        ExecSyncRequest.newBuilder()
            .setContainerId(container)
            .setTimeout(timeout.toSeconds())
            .addAllCmd(List.of(command))
            .build(),
        ExecSyncResponse.getDefaultInstance());
  }

  /** Where to connect for the streams of a command with input, and errors unless on a terminal. */
  public URI execUrl(String container, boolean terminal, String... command) {
    return URI.create(
        call(
                "Exec",
                ExecRequest.newBuilder()
                    .setContainerId(container)
                    .addAllCmd(List.of(command))
                    .setTty(terminal)
                    .setStdin(true)
                    .setStdout(true)
                    .setStderr(!terminal)
                    .build(),
                ExecResponse.getDefaultInstance())
            .getUrl());
  }

  public URI attachUrl(String container) {
    return URI.create(
        call(
                "Attach",
                AttachRequest.newBuilder()
                    .setContainerId(container)
                    .setStdin(true)
                    .setStdout(true)
                    .setStderr(true)
                    .build(),
                AttachResponse.getDefaultInstance())
            .getUrl());
  }

  public URI portForwardUrl(String pod, int port) {
    return URI.create(
        call(
                "PortForward",
                PortForwardRequest.newBuilder().setPodSandboxId(pod).addPort(port).build(),
                PortForwardResponse.getDefaultInstance())
            .getUrl());
  }

  @Override
  public void close() {
    var _ = channel.shutdownNow();
  }
}
