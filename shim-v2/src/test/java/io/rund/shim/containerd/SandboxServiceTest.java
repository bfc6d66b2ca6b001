package io.rund.shim.containerd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.pod.DNSConfig;
import io.rund.shim.wire.pod.LinuxContainerResources;
import io.rund.shim.wire.pod.LinuxPodSandboxConfig;
import io.rund.shim.wire.pod.PodSandboxConfig;
import io.rund.shim.wire.sandbox.CreateSandboxRequest;
import io.rund.shim.wire.sandbox.CreateSandboxResponse;
import io.rund.shim.wire.sandbox.PingRequest;
import io.rund.shim.wire.sandbox.PingResponse;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Speaks to the service as containerd does, over one connection for a sandbox. */
@Timeout(30)
class SandboxServiceTest {
  private static final String ID = "pod";

  @TempDir Path directory;
  private final FakeContainers containers = new FakeContainers();
  private TtrpcServer server;
  private TtrpcSocket connection;
  private Path bundle;

  @BeforeEach
  void serve() throws IOException {
    Path socket = directory.resolve("s");
    server = new TtrpcServer(socket, List.of(SandboxService.over(containers)));
    connection = new TtrpcSocket(socket);
    bundle = Files.createDirectories(directory.resolve("k8s.io").resolve(ID));
  }

  @AfterEach
  void stop() {
    connection.close();
    server.close();
  }

  private <T extends MessageLite> T ask(String method, MessageLite request, Parser<T> parser)
      throws Exception {
    try {
      return connection
          .client()
          .call("containerd.runtime.sandbox.v1.Sandbox", method, request, parser, null)
          .get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RundException cause ? cause : e;
    }
  }

  private void create(PodSandboxConfig config) throws Exception {
    CreateSandboxRequest request =
        CreateSandboxRequest.newBuilder()
            .setSandboxId(ID)
            .setBundlePath(bundle.toString())
            .setNetnsPath("/run/netns/pod")
            .setOptions(
                Any.newBuilder()
                    .setTypeUrl("runtime.v1.PodSandboxConfig")
                    .setValue(config.toByteString()))
            .build();
    ask("CreateSandbox", request, CreateSandboxResponse.parser());
  }

  private SandboxStatusResponse status() throws Exception {
    return ask(
        "SandboxStatus",
        SandboxStatusRequest.newBuilder().setSandboxId(ID).build(),
        SandboxStatusResponse.parser());
  }

  @Test
  void aSandboxsLife() throws Exception {
    create(PodSandboxConfig.getDefaultInstance());
    assertEquals("SANDBOX_NOTREADY", status().getState());
    StartSandboxResponse started =
        ask(
            "StartSandbox",
            StartSandboxRequest.newBuilder().setSandboxId(ID).build(),
            StartSandboxResponse.parser());
    assertEquals(FakeContainers.PID, started.getPid());
    assertTrue(started.getCreatedAt().getSeconds() > 0);
    assertEquals("SANDBOX_READY", status().getState());
    ask("PingSandbox", PingRequest.newBuilder().setSandboxId(ID).build(), PingResponse.parser());
    PlatformResponse platform =
        ask("Platform", PlatformRequest.getDefaultInstance(), PlatformResponse.parser());
    assertEquals("linux", platform.getPlatform().getOs());
    SandboxMetricsResponse metrics =
        ask(
            "SandboxMetrics",
            SandboxMetricsRequest.newBuilder().setSandboxId(ID).build(),
            SandboxMetricsResponse.parser());
    assertEquals("io.containerd.cgroups.v2.Metrics", metrics.getMetrics().getData().getTypeUrl());

    for (int times = 0; times < 2; times++) {
      ask(
          "StopSandbox",
          StopSandboxRequest.newBuilder().setSandboxId(ID).build(),
          StopSandboxResponse.parser());
    }
    WaitSandboxResponse ended =
        ask(
            "WaitSandbox",
            WaitSandboxRequest.newBuilder().setSandboxId(ID).build(),
            WaitSandboxResponse.parser());
    assertEquals(137, ended.getExitStatus());
    assertEquals("SANDBOX_NOTREADY", status().getState());
    assertEquals(ended.getExitedAt(), status().getExitedAt());
    for (int times = 0; times < 2; times++) {
      ask(
          "ShutdownSandbox",
          ShutdownSandboxRequest.newBuilder().setSandboxId(ID).build(),
          ShutdownSandboxResponse.parser());
    }
    RundException e =
        assertThrows(
            RundException.class,
            () ->
                ask(
                    "PingSandbox",
                    PingRequest.newBuilder().setSandboxId(ID).build(),
                    PingResponse.parser()));
    assertEquals(ErrorCode.NOT_FOUND, e.code());
  }

  @Test
  void thePodsConfigurationBecomesASpecification() throws Exception {
    create(
        PodSandboxConfig.newBuilder()
            .setHostname("web")
            .setDnsConfig(
                DNSConfig.newBuilder()
                    .addServers("10.96.0.10")
                    .addServers("fd00::10")
                    .addSearches("e2e.svc.cluster.local")
                    .addSearches("cluster.local")
                    .addOptions("ndots:5"))
            .putAnnotations("io.rund.memory", "1G")
            .setLinux(
                LinuxPodSandboxConfig.newBuilder()
                    .setCgroupParent("/kubepods/pod1")
                    .putSysctls("net.core.somaxconn", "1024")
                    .setResources(
                        LinuxContainerResources.newBuilder().setMemoryLimitInBytes(1 << 28)))
            .build());
    JsonNode spec = new ObjectMapper().readTree(bundle.resolve("config.json").toFile());
    assertEquals("web", spec.path("hostname").asText());
    JsonNode annotations = spec.path("annotations");
    assertEquals("sandbox", annotations.path("io.kubernetes.cri.container-type").asText());
    assertEquals(ID, annotations.path("io.kubernetes.cri.sandbox-id").asText());
    assertEquals("268435456", annotations.path("io.kubernetes.cri.sandbox-memory").asText());
    assertEquals("1G", annotations.path("io.rund.memory").asText());
    assertEquals("/kubepods/pod1/pod", spec.path("linux").path("cgroupsPath").asText());
    assertEquals("1024", spec.path("linux").path("sysctl").path("net.core.somaxconn").asText());
    assertEquals(
        "/run/netns/pod", spec.path("linux").path("namespaces").path(4).path("path").asText());
    assertEquals(
        """
        search e2e.svc.cluster.local cluster.local
        nameserver 10.96.0.10
        nameserver fd00::10
        options ndots:5
        """,
        mounted(spec, "/etc/resolv.conf"));
    assertEquals("web\n", mounted(spec, "/etc/hostname"));
    assertEquals(Files.readString(Path.of("/etc/hosts")), mounted(spec, "/etc/hosts"));
  }

  /** The content of the file that the specification binds there. */
  private static String mounted(JsonNode spec, String destination) throws IOException {
    for (JsonNode mount : spec.path("mounts")) {
      if (mount.path("destination").asText().equals(destination)) {
        return Files.readString(Path.of(mount.path("source").asText()));
      }
    }
    throw new AssertionError("nothing is mounted at " + destination + ": " + spec);
  }

  @Test
  void aPodThatNamesNothingHasTheHostsNames() throws Exception {
    create(PodSandboxConfig.getDefaultInstance());
    JsonNode spec = new ObjectMapper().readTree(bundle.resolve("config.json").toFile());
    assertEquals(Files.readString(Path.of("/etc/resolv.conf")), mounted(spec, "/etc/resolv.conf"));
    assertEquals(
        Files.readString(Path.of("/proc/sys/kernel/hostname")), mounted(spec, "/etc/hostname"));
  }

  @Test
  void aSpecificationThatContainerdHasWrittenStays() throws Exception {
    String written = "{\"process\":{\"args\":[\"/pause\"]}}";
    Files.writeString(bundle.resolve("config.json"), written);
    create(PodSandboxConfig.getDefaultInstance());
    assertEquals(written, Files.readString(bundle.resolve("config.json")));
  }
}
