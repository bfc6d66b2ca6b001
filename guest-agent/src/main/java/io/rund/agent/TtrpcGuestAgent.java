package io.rund.agent;

import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.agent.wire.AdoptRequest;
import io.rund.agent.wire.BindSlotResponse;
import io.rund.agent.wire.ContainerRef;
import io.rund.agent.wire.CreateContainerRequest;
import io.rund.agent.wire.CreateContainerResponse;
import io.rund.agent.wire.CreateExecRequest;
import io.rund.agent.wire.Empty;
import io.rund.agent.wire.ForwardPortRequest;
import io.rund.agent.wire.HelloRequest;
import io.rund.agent.wire.HelloResponse;
import io.rund.agent.wire.ProcessRef;
import io.rund.agent.wire.ResizeTerminalRequest;
import io.rund.agent.wire.SetClockRequest;
import io.rund.agent.wire.SetSysctlsRequest;
import io.rund.agent.wire.SharedPidNamespaceResponse;
import io.rund.agent.wire.SignalRequest;
import io.rund.agent.wire.SlotRef;
import io.rund.agent.wire.StartResponse;
import io.rund.agent.wire.StatsResponse;
import io.rund.agent.wire.Stdio;
import io.rund.agent.wire.Sysctl;
import io.rund.agent.wire.UpdateRequest;
import io.rund.agent.wire.WaitOomRequest;
import io.rund.agent.wire.WaitOomResponse;
import io.rund.agent.wire.WaitResponse;
import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** {@link GuestAgent} by the calls of agent.proto. */
final class TtrpcGuestAgent implements GuestAgent {
  /** A guest that has not answered an ordinary call by then is taken to be broken. */
  private static final Duration ANSWER_BOUND = Duration.ofMinutes(2);

  /** Who stops a container waits for the answer. */
  private static final Duration SIGNAL_BOUND = Duration.ofSeconds(30);

  /** Bytes of a guest's seed: twice what its generator holds. */
  private static final int ENTROPY = 64;

  private final AgentConnection connection;
  private final String engineVersion;

  TtrpcGuestAgent(AgentConnection connection, String engineVersion) {
    this.connection = connection;
    this.engineVersion = engineVersion;
  }

  @Override
  public Hello hello(String hostname, Duration timeout) {
    HelloRequest.Builder request =
        HelloRequest.newBuilder()
            .setEngineVersion(engineVersion)
            .setHostname(hostname)
            .setEntropy(ByteString.copyFrom(entropy()));
    // Last, since the guest's clock is late by what comes between this and its setting.
    request.setWallClockNanos(wallClock());
    return CheckedAnswers.hello(answer("Hello", request.build(), HelloResponse.parser(), timeout));
  }

  private static long wallClock() {
    Instant now = Instant.now();
    return now.getEpochSecond() * 1_000_000_000L + now.getNano();
  }

  /** From the host's kernel, which gives up to 256 bytes whole (getrandom(2)). */
  private static byte[] entropy() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(ENTROPY);
      var _ = Libc.syscall(Linux.SYS_GETRANDOM, bytes.address(), ENTROPY, 0, 0, 0);
      return bytes.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Override
  public int createContainer(ContainerConfig config, byte[] specJson) {
    CreateContainerRequest.Builder request =
        CreateContainerRequest.newBuilder()
            .setContainerId(config.id())
            .setSpecJson(ByteString.copyFrom(specJson))
            .addAllShares(config.shares())
            .setStdio(stdio(config.stdio()));
    for (SharedMemory memory : config.sharedMemories()) {
      request.addSharedMemories(
          io.rund.agent.wire.SharedMemory.newBuilder()
              .setName(memory.name())
              .setBytes(memory.bytes()));
    }
    switch (config.rootfs()) {
      case BlockRootfs(int slot, String fsType, List<String> options) ->
          request.setRootfs(
              io.rund.agent.wire.BlockRootfs.newBuilder()
                  .setSlot(slot)
                  .setFstype(fsType)
                  .addAllOptions(options));
      case SharedRootfs(String share) -> request.setRootfsShare(share);
    }
    return CheckedAnswers.pid(
        answer("CreateContainer", request.build(), CreateContainerResponse.parser()).getPid());
  }

  @Override
  public void adopt(String containerId, StdioPorts stdio) {
    tell(
        "Adopt",
        AdoptRequest.newBuilder().setContainerId(containerId).setStdio(stdio(stdio)).build());
  }

  @Override
  public void setClock() {
    tell("SetClock", SetClockRequest.newBuilder().setWallClockNanos(wallClock()).build());
  }

  @Override
  public void setSysctls(Map<String, String> values) {
    SetSysctlsRequest.Builder request = SetSysctlsRequest.newBuilder();
    values.forEach(
        (name, value) -> request.addSysctls(Sysctl.newBuilder().setName(name).setValue(value)));
    tell("SetSysctls", request.build());
  }

  @Override
  public int sharedPidNamespace() {
    return CheckedAnswers.pid(
        answer(
                "SharedPidNamespace",
                Empty.getDefaultInstance(),
                SharedPidNamespaceResponse.parser())
            .getPid());
  }

  @Override
  public void update(String containerId, byte[] resourcesJson) {
    tell(
        "Update",
        UpdateRequest.newBuilder()
            .setContainerId(containerId)
            .setResourcesJson(ByteString.copyFrom(resourcesJson))
            .build());
  }

  @Override
  public CompletableFuture<Long> oomKills(String containerId, long seen) {
    WaitOomRequest request =
        WaitOomRequest.newBuilder().setContainerId(containerId).setSeen(seen).build();
    return connection
        .call("WaitOom", request, WaitOomResponse.parser(), Duration.ZERO)
        .thenApply(WaitOomResponse::getKills);
  }

  @Override
  public void createExec(ProcessKey exec, byte[] processJson, StdioPorts stdio) {
    tell(
        "CreateExec",
        CreateExecRequest.newBuilder()
            .setContainerId(exec.containerId())
            .setExecId(exec.execId())
            .setProcessJson(ByteString.copyFrom(processJson))
            .setStdio(stdio(stdio))
            .build());
  }

  @Override
  public void start(ProcessKey process) {
    var _ = answer("Start", ref(process), StartResponse.parser());
  }

  @Override
  public CompletableFuture<ExitStatus> exit(ProcessKey process) {
    return connection
        .call("Wait", ref(process), WaitResponse.parser(), Duration.ZERO)
        .thenApply(CheckedAnswers::exit);
  }

  @Override
  public void signal(ProcessKey process, int signal, boolean all) {
    SignalRequest request =
        SignalRequest.newBuilder()
            .setContainerId(process.containerId())
            .setExecId(process.execId())
            .setSignal(signal)
            .setAll(all)
            .build();
    var _ = answer("Signal", request, Empty.parser(), SIGNAL_BOUND);
  }

  @Override
  public void resizeTerminal(ProcessKey process, int rows, int columns) {
    tell(
        "ResizeTerminal",
        ResizeTerminalRequest.newBuilder()
            .setContainerId(process.containerId())
            .setExecId(process.execId())
            .setRows(rows)
            .setColumns(columns)
            .build());
  }

  @Override
  public void delete(ProcessKey process) {
    tell("Delete", ref(process));
  }

  @Override
  public void pause(String containerId) {
    tell("Pause", ref(containerId));
  }

  @Override
  public void resume(String containerId) {
    tell("Resume", ref(containerId));
  }

  @Override
  public ContainerStats stats(String containerId) {
    return CheckedAnswers.stats(answer("Stats", ref(containerId), StatsResponse.parser()));
  }

  @Override
  public DiskNumber bindSlot(int slot) {
    return CheckedAnswers.disk(
        answer("BindSlot", SlotRef.newBuilder().setSlot(slot).build(), BindSlotResponse.parser()));
  }

  @Override
  public void unbindSlot(int slot) {
    tell("UnbindSlot", SlotRef.newBuilder().setSlot(slot).build());
  }

  @Override
  public void forwardPort(int port, int vsockPort) {
    tell(
        "ForwardPort",
        ForwardPortRequest.newBuilder().setPort(port).setHostPort(vsockPort).build());
  }

  @Override
  public void configureNetwork(List<GuestInterface> interfaces) {
    tell("ConfigureNetwork", NetworkWire.request(interfaces));
  }

  @Override
  public CompletableFuture<Void> closed() {
    return connection.whenClosed();
  }

  private void tell(String method, MessageLite request) {
    var _ = answer(method, request, Empty.parser());
  }

  private <T extends MessageLite> T answer(String method, MessageLite request, Parser<T> parser) {
    return answer(method, request, parser, ANSWER_BOUND);
  }

  private <T extends MessageLite> T answer(
      String method, MessageLite request, Parser<T> parser, Duration timeout) {
    try {
      return connection.call(method, request, parser, timeout).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RundException cause) {
        // The stack of the caller says more than that of the event loop.
        throw new RundException(cause.code(), cause.getMessage(), cause);
      }
      throw RundException.internal(method + " to the sandbox's agent: " + e.getCause(), e);
    }
  }

  private static ProcessRef ref(ProcessKey process) {
    return ProcessRef.newBuilder()
        .setContainerId(process.containerId())
        .setExecId(process.execId())
        .build();
  }

  private static ContainerRef ref(String containerId) {
    return ContainerRef.newBuilder().setContainerId(containerId).build();
  }

  private static Stdio stdio(StdioPorts ports) {
    return Stdio.newBuilder()
        .setTerminal(ports.terminal())
        .setStdinPort(ports.stdin())
        .setStdoutPort(ports.stdout())
        .setStderrPort(ports.stderr())
        .build();
  }
}
