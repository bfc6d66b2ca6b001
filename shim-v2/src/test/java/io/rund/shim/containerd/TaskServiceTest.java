package io.rund.shim.containerd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import com.google.protobuf.Timestamp;
import io.rund.core.error.ErrorCode;
import io.rund.core.ttrpc.Frame;
import io.rund.core.ttrpc.FrameReader;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.core.ttrpc.wire.KeyValue;
import io.rund.core.ttrpc.wire.Request;
import io.rund.core.ttrpc.wire.Response;
import io.rund.shim.wire.cgroups.Metrics;
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
import io.rund.shim.wire.types.Mount;
import io.rund.shim.wire.types.ProcessDetails;
import io.rund.shim.wire.types.Status;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Speaks to the service as containerd does: over a unix socket, with the namespace as metadata. */
@Timeout(30)
class TaskServiceTest {
  private static final String ID = "redis";

  @TempDir Path directory;
  private final FakeContainers containers = new FakeContainers();
  private TtrpcServer server;
  private String service = "containerd.task.v2.Task";

  @BeforeEach
  void serve() {
    server = new TtrpcServer(directory.resolve("s"), TaskService.over(containers, "0.1.0"));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Response call(String namespace, String method, MessageLite message) throws IOException {
    Request.Builder request =
        Request.newBuilder()
            .setService(service)
            .setMethod(method)
            .setPayload(message.toByteString());
    if (!namespace.isEmpty()) {
      request.addMetadata(
          KeyValue.newBuilder().setKey("containerd-namespace-ttrpc").setValue(namespace));
    }
    List<Frame> answers = new ArrayList<>();
    FrameReader reader = new FrameReader(answers::add, _ -> {});
    try (SocketChannel channel =
        SocketChannel.open(UnixDomainSocketAddress.of(directory.resolve("s")))) {
      ByteBuffer out = Frame.encode(1, Frame.REQUEST, request.build());
      while (out.hasRemaining()) {
        channel.write(out);
      }
      ByteBuffer in = ByteBuffer.allocate(4096);
      while (answers.isEmpty() && channel.read(in) >= 0) {
        reader.feed(in.flip());
        in.clear();
      }
    }
    return Response.parseFrom(answers.getFirst().payload());
  }

  private <T> T ask(String method, MessageLite message, Parser<T> parser) throws IOException {
    Response response = call("default", method, message);
    assertEquals(0, response.getStatus().getCode(), response.getStatus().getMessage());
    return parser.parseFrom(response.getPayload());
  }

  private ErrorCode error(String method, MessageLite message) throws IOException {
    Response response = call("default", method, message);
    assertFalse(response.getStatus().getMessage().isEmpty());
    return ErrorCode.fromGrpcCode(response.getStatus().getCode());
  }

  private void create() throws IOException {
    CreateTaskRequest request =
        CreateTaskRequest.newBuilder()
            .setId(ID)
            .setBundle("/run/bundle")
            .addRootfs(
                Mount.newBuilder()
                    .setType("ext4")
                    .setSource("/dev/mapper/x")
                    .addOptions("rw")
                    .addOptions("discard"))
            .setStdin("/in")
            .setStdout("/out")
            .setStderr("/err")
            .build();
    assertEquals(FakeContainers.PID, ask("Create", request, CreateTaskResponse.parser()).getPid());
  }

  private StateResponse state(String execId) throws IOException {
    StateRequest request = StateRequest.newBuilder().setId(ID).setExecId(execId).build();
    return ask("State", request, StateResponse.parser());
  }

  private void start(String execId) throws IOException {
    StartRequest request = StartRequest.newBuilder().setId(ID).setExecId(execId).build();
    assertEquals(FakeContainers.PID, ask("Start", request, StartResponse.parser()).getPid());
  }

  private void kill(String execId, int signal) throws IOException {
    KillRequest request =
        KillRequest.newBuilder().setId(ID).setExecId(execId).setSignal(signal).build();
    ask("Kill", request, Empty.parser());
  }

  @Test
  void aContainersLife() throws Exception {
    create();
    assertEquals(
        List.of(
            "create [RootfsMount[type=ext4, source=/dev/mapper/x, target=, options=[rw,"
                + " discard]]]"),
        containers.calls);
    StateResponse created = state("");
    assertEquals(Status.CREATED, created.getStatus());
    assertEquals("/run/bundle", created.getBundle());
    assertEquals("/out", created.getStdout());
    assertFalse(created.hasExitedAt());

    start("");
    CompletableFuture<WaitResponse> wait =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return ask(
                    "Wait", WaitRequest.newBuilder().setId(ID).build(), WaitResponse.parser());
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
    assertEquals(Status.RUNNING, state("").getStatus());
    assertEquals(
        ErrorCode.FAILED_PRECONDITION,
        error("Delete", DeleteRequest.newBuilder().setId(ID).build()));
    kill("", 9);
    Timestamp exitedAt = Timestamp.newBuilder().setSeconds(1234567890).setNanos(123456789).build();
    assertEquals(
        WaitResponse.newBuilder().setExitStatus(137).setExitedAt(exitedAt).build(), wait.get());
    assertEquals(exitedAt, state("").getExitedAt());
    assertEquals(
        1,
        ask("Pids", PidsRequest.newBuilder().setId(ID).build(), PidsResponse.parser())
            .getProcessesCount(),
        "a containerd that was restarted must not take it for a task that was never made");
    DeleteResponse deleted =
        ask("Delete", DeleteRequest.newBuilder().setId(ID).build(), DeleteResponse.parser());
    assertEquals(137, deleted.getExitStatus());
    assertEquals(exitedAt, deleted.getExitedAt());
    assertEquals(FakeContainers.PID, deleted.getPid());
    assertEquals(ErrorCode.NOT_FOUND, error("State", StateRequest.newBuilder().setId(ID).build()));
  }

  @Test
  void bothVersionsOfTheServiceAreOne() throws Exception {
    create();
    service = "containerd.task.v3.Task";
    start("");
    assertEquals(Status.RUNNING, state("").getStatus());
    service = "containerd.task.v4.Task";
    assertEquals(
        ErrorCode.UNIMPLEMENTED, error("State", StateRequest.newBuilder().setId(ID).build()));
  }

  @Test
  void anExec() throws Exception {
    create();
    start("");
    Any spec =
        Any.newBuilder()
            .setTypeUrl("types.containerd.io/opencontainers/runtime-spec/1/Process")
            .setValue(ByteString.copyFromUtf8("{\"args\":[\"ls\"]}"))
            .build();
    ask(
        "Exec",
        ExecProcessRequest.newBuilder().setId(ID).setExecId("e").setSpec(spec).build(),
        Empty.parser());
    assertTrue(containers.calls.contains("exec {\"args\":[\"ls\"]}"));
    start("e");
    PidsResponse pids =
        ask("Pids", PidsRequest.newBuilder().setId(ID).build(), PidsResponse.parser());
    assertEquals(2, pids.getProcessesCount());
    assertFalse(pids.getProcesses(0).hasInfo());
    Any info = pids.getProcesses(1).getInfo();
    assertEquals("containerd.runc.v1.ProcessDetails", info.getTypeUrl());
    assertEquals("e", ProcessDetails.parseFrom(info.getValue()).getExecId());

    ask(
        "ResizePty",
        ResizePtyRequest.newBuilder().setId(ID).setExecId("e").setWidth(80).setHeight(25).build(),
        Empty.parser());
    ask(
        "CloseIO",
        CloseIORequest.newBuilder().setId(ID).setExecId("e").setStdin(true).build(),
        Empty.parser());
    kill("e", 15);
    assertEquals(
        List.of("resize e 25x80", "closeStdin e", "kill 15 false"),
        containers.calls.subList(2, containers.calls.size()));
    StateResponse ended = state("e");
    assertEquals(Status.STOPPED, ended.getStatus());
    assertEquals(143, ended.getExitStatus());
    assertEquals(
        1,
        ask("Pids", PidsRequest.newBuilder().setId(ID).build(), PidsResponse.parser())
            .getProcessesCount());
  }

  @Test
  void pauseAndResume() throws Exception {
    create();
    start("");
    ask("Pause", PauseRequest.newBuilder().setId(ID).build(), Empty.parser());
    assertEquals(Status.PAUSED, state("").getStatus());
    ask("Resume", ResumeRequest.newBuilder().setId(ID).build(), Empty.parser());
    assertEquals(Status.RUNNING, state("").getStatus());
  }

  @Test
  void statsAreWhatClientsOfCgroupsExpect() throws Exception {
    create();
    Any any =
        ask("Stats", StatsRequest.newBuilder().setId(ID).build(), StatsResponse.parser())
            .getStats();
    assertEquals("io.containerd.cgroups.v2.Metrics", any.getTypeUrl());
    Metrics metrics = Metrics.parseFrom(any.getValue());
    assertEquals(100, metrics.getCpu().getUsageUsec());
    assertEquals(4096, metrics.getMemory().getAnon());
    assertEquals(12, metrics.getMemory().getPgfault());
    assertEquals(1 << 20, metrics.getMemory().getUsage());
    assertEquals(-1L, metrics.getMemory().getUsageLimit());
    assertEquals(2 << 20, metrics.getMemory().getMaxUsage());
    assertEquals(2, metrics.getMemoryEvents().getOomKill());
    assertEquals(40, metrics.getIo().getUsage(0).getWios());
    assertEquals(3, metrics.getPids().getCurrent());
  }

  @Test
  void updateTakesTheResourcesThatContainerdSends() throws Exception {
    create();
    UpdateTaskRequest request =
        UpdateTaskRequest.newBuilder()
            .setId(ID)
            .setResources(
                Any.newBuilder()
                    .setTypeUrl("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources")
                    .setValue(ByteString.copyFromUtf8("{\"pids\":{\"limit\":7}}")))
            .build();
    ask("Update", request, Empty.parser());
    assertEquals("update {\"pids\":{\"limit\":7}}", containers.calls.getLast());
    assertEquals(
        ErrorCode.INVALID_ARGUMENT,
        error("Update", UpdateTaskRequest.newBuilder().setId(ID).build()));
  }

  @Test
  void connectKnowsOnlyWhatIsThere() throws Exception {
    ConnectRequest request = ConnectRequest.newBuilder().setId(ID).build();
    assertEquals(ErrorCode.NOT_FOUND, error("Connect", request));
    create();
    ConnectResponse response = ask("Connect", request, ConnectResponse.parser());
    assertEquals(ProcessHandle.current().pid(), response.getShimPid());
    assertEquals(FakeContainers.PID, response.getTaskPid());
    assertEquals("0.1.0", response.getVersion());
  }

  @Test
  void shutdownEndsOneContainerAndNotTheEngine() throws Exception {
    create();
    ask("Shutdown", ShutdownRequest.newBuilder().setId("other").build(), Empty.parser());
    assertEquals("destroy default/other", containers.calls.getLast());
    assertEquals(Status.CREATED, state("").getStatus());
    ask("Shutdown", ShutdownRequest.newBuilder().setId(ID).build(), Empty.parser());
    assertEquals(ErrorCode.NOT_FOUND, error("State", StateRequest.newBuilder().setId(ID).build()));
  }

  @Test
  void errorsHaveTheirCodes() throws Exception {
    create();
    assertThrows(AssertionError.class, this::create);
    assertEquals(
        ErrorCode.ALREADY_EXISTS,
        error("Create", CreateTaskRequest.newBuilder().setId(ID).build()));
    assertEquals(
        ErrorCode.NOT_FOUND, error("Kill", KillRequest.newBuilder().setId("gone").build()));
    assertEquals(
        ErrorCode.UNIMPLEMENTED,
        error(
            "Create",
            CreateTaskRequest.newBuilder().setId("x").setCheckpoint("/checkpoint").build()));
    assertEquals(ErrorCode.UNIMPLEMENTED, error("Checkpoint", Empty.getDefaultInstance()));
  }

  @Test
  void namespacesAreApart() throws Exception {
    create();
    StateRequest request = StateRequest.newBuilder().setId(ID).build();
    assertEquals(
        ErrorCode.NOT_FOUND.grpcCode(), call("k8s.io", "State", request).getStatus().getCode());
  }

  @Test
  void aContainerdThatNamesNoNamespaceMeansThatOfTheBundle() throws Exception {
    CreateTaskRequest debian =
        CreateTaskRequest.newBuilder().setId("d").setBundle("/run/tasks/k8s.io/d").build();
    assertEquals(0, call("", "Create", debian).getStatus().getCode());
    StateRequest request = StateRequest.newBuilder().setId("d").build();
    assertEquals(0, call("k8s.io", "State", request).getStatus().getCode());
    assertEquals(0, call("", "State", request).getStatus().getCode());
    assertEquals(0, call("default", "Create", debian).getStatus().getCode());
    assertEquals(
        ErrorCode.INVALID_ARGUMENT.grpcCode(), call("", "State", request).getStatus().getCode());
    assertEquals(
        ErrorCode.NOT_FOUND.grpcCode(),
        call("", "State", StateRequest.newBuilder().setId("x").build()).getStatus().getCode());
  }

  @Test
  void theConnectionRemembersItsNamespace() throws Exception {
    try (TtrpcSocket connection = new TtrpcSocket(directory.resolve("s"))) {
      for (String namespace : List.of("one", "two")) {
        CreateTaskRequest create =
            CreateTaskRequest.newBuilder()
                .setId("same")
                .setBundle("/run/tasks/" + namespace + "/same")
                .build();
        var _ = connection.client().call(service, "Create", create, Empty.parser(), null).get();
      }
      StateRequest request = StateRequest.newBuilder().setId("same").build();
      assertEquals(
          "/run/tasks/two/same",
          connection
              .client()
              .call(service, "State", request, StateResponse.parser(), null)
              .get()
              .getBundle());
    }
  }
}
