package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.rund.e2e.cri.CriClient;
import io.rund.e2e.cri.Streams;
import io.rund.e2e.cri.Tunnel;
import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.ContainerMetadata;
import io.rund.e2e.cri.wire.ContainerState;
import io.rund.e2e.cri.wire.ContainerStatus;
import io.rund.e2e.cri.wire.DNSConfig;
import io.rund.e2e.cri.wire.ExecSyncResponse;
import io.rund.e2e.cri.wire.ImageSpec;
import io.rund.e2e.cri.wire.LinuxPodSandboxConfig;
import io.rund.e2e.cri.wire.LinuxSandboxSecurityContext;
import io.rund.e2e.cri.wire.Mount;
import io.rund.e2e.cri.wire.NamespaceMode;
import io.rund.e2e.cri.wire.NamespaceOption;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import io.rund.e2e.cri.wire.PodSandboxMetadata;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A pod in the lab, as the kubelet makes one through containerd's CRI plugin: with a folder of logs
 * and an emptyDir, {@code /work} in each of its containers.
 */
final class CriPod implements AutoCloseable {
  private static final Duration LONG = Duration.ofMinutes(3);
  static final String IMAGE = "docker.io/rund/test:latest";

  /** What the kubelet asks for unless a pod says otherwise; CRI's default would be one for all. */
  static final NamespaceOption NAMESPACES =
      NamespaceOption.newBuilder().setPid(NamespaceMode.CONTAINER).build();

  private final String name;
  private final Tunnel containerd;
  private final CriClient client;
  private final PodSandboxConfig config;
  private final List<String> containers = new ArrayList<>();
  private String id = "";

  /** {@code handler} is the name of a runtime in containerd's configuration: runc or rund. */
  CriPod(String handler) {
    this(handler, _ -> {});
  }

  /** A pod that {@code more} has changed, or added to. */
  CriPod(String handler, Consumer<PodSandboxConfig.Builder> more) {
    name = Lab.id("cri-" + handler);
    Lab.script(LONG, "mkdir -p /tmp/$1/logs /tmp/$1/work", name).expectExit(0);
    containerd = toContainerd();
    client = new CriClient(containerd.address());
    PodSandboxConfig.Builder asked =
        PodSandboxConfig.newBuilder()
            .setMetadata(
                PodSandboxMetadata.newBuilder().setName(name).setUid(name).setNamespace("e2e"))
            .setHostname("cri-pod")
            .setLogDirectory("/tmp/" + name + "/logs")
            .setDnsConfig(
                DNSConfig.newBuilder()
                    .addServers("10.96.0.10")
                    .addSearches("e2e.svc.cluster.local")
                    .addOptions("ndots:5"))
            .setLinux(
                LinuxPodSandboxConfig.newBuilder()
                    .setCgroupParent("/rund-e2e")
                    .setSecurityContext(
                        LinuxSandboxSecurityContext.newBuilder().setNamespaceOptions(NAMESPACES)));
    more.accept(asked);
    config = asked.build();
    try {
      id = client.runPod(config, handler);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Leads to the socket of the lab's containerd. */
  static Tunnel toContainerd() {
    return tunnel("unix \"$CONTAINERD_ADDRESS\"");
  }

  /** Leads to a socket in the lab, which the tool `relay` of the probe is told of. */
  private static Tunnel tunnel(String relay) {
    return Tunnel.through(
        Lab.command("bash", "-c", "exec %s relay %s".formatted(Lab.PROBE, relay)));
  }

  CriClient client() {
    return client;
  }

  String id() {
    return id;
  }

  String address() {
    return client.podStatus(id).getNetwork().getIp();
  }

  /** A container of the pod, not started. */
  String create(String container, int attempt, ContainerConfig.Builder more) {
    more.getLinuxBuilder().getSecurityContextBuilder().setNamespaceOptions(NAMESPACES);
    String made =
        client.create(
            id,
            config,
            more.setMetadata(ContainerMetadata.newBuilder().setName(container).setAttempt(attempt))
                .setImage(ImageSpec.newBuilder().setImage(IMAGE))
                .addMounts(
                    Mount.newBuilder()
                        .setContainerPath("/work")
                        .setHostPath("/tmp/" + name + "/work"))
                .setLogPath("%s_%d.log".formatted(container, attempt))
                .build());
    containers.add(made);
    return made;
  }

  /** The same, started. */
  String run(String container, int attempt, ContainerConfig.Builder more) {
    String made = create(container, attempt, more);
    client.start(made);
    return made;
  }

  void remove(String container) {
    client.remove(container);
    containers.remove(container);
  }

  static ContainerConfig.Builder shell(String script) {
    return ContainerConfig.newBuilder().addCommand("sh").addArgs("-c").addArgs(script);
  }

  /** A command that is expected to succeed; its output. */
  String exec(String container, String script) {
    ExecSyncResponse answer = client.exec(container, Duration.ZERO, "sh", "-c", script);
    assertEquals(0, answer.getExitCode(), () -> script + ": " + answer);
    return answer.getStdout().toStringUtf8();
  }

  /** Waits for the end of a container. */
  ContainerStatus awaitExit(String container) throws InterruptedException {
    long end = System.nanoTime() + LONG.toNanos();
    ContainerStatus status = client.status(container);
    while (status.getState() != ContainerState.CONTAINER_EXITED && System.nanoTime() < end) {
      Thread.sleep(300);
      status = client.status(container);
    }
    assertEquals(ContainerState.CONTAINER_EXITED, status.getState(), status::toString);
    return status;
  }

  /** Lines of a container's log that end in {@code text}. */
  List<String> logged(String container, int attempt, String text) {
    return Lab.script(
            LONG,
            "grep -- \" $2$\" \"/tmp/$1\"",
            "%s/logs/%s_%d.log".formatted(name, container, attempt),
            text)
        .out()
        .lines()
        .toList();
  }

  /** All lines that a container has written to its standard output, as its log has them. */
  List<String> output(String container, int attempt) {
    return Lab.script(
            LONG,
            "sed -n 's/^[^ ]* stdout F //p' \"/tmp/$1\"",
            "%s/logs/%s_%d.log".formatted(name, container, attempt))
        .out()
        .lines()
        .toList();
  }

  /** GET from the host to the pod's address, tried until there is an answer, as a probe is. */
  String get(int port, String path) throws Exception {
    String address = address();
    try (Tunnel tunnel = tunnel("tcp %s %d".formatted(address, port));
        HttpClient http = HttpClient.newHttpClient()) {
      HttpRequest request =
          HttpRequest.newBuilder(
                  URI.create("http://127.0.0.1:%d%s".formatted(tunnel.address().getPort(), path)))
              .timeout(Duration.ofSeconds(30))
              .build();
      for (int attempt = 1; ; attempt++) {
        try {
          HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
          return answer.statusCode() + " " + answer.body();
        } catch (java.io.IOException e) {
          if (attempt == 10) {
            throw new AssertionError("no answer from %s:%d".formatted(address, port), e);
          }
          Thread.sleep(500);
        }
      }
    }
  }

  /** What a use of streams does with them. */
  interface Use {
    void of(Streams streams) throws Exception;
  }

  /** Connects to the streaming server that {@code url} names, in the lab. */
  static void stream(URI url, String query, Use use) throws Exception {
    try (Tunnel tunnel = tunnel("tcp %s %d".formatted(url.getHost(), url.getPort()));
        Streams streams = Streams.open(url, tunnel.address(), query)) {
      use.of(streams);
    }
  }

  /** Removes what is left, as the kubelet does. */
  @Override
  public void close() {
    try {
      for (String container : containers) {
        client.stop(container, Duration.ZERO);
        client.remove(container);
      }
      if (!id.isEmpty()) {
        client.stopPod(id);
        client.removePod(id);
      }
    } finally {
      client.close();
      containerd.close();
      var _ = Lab.script(LONG, "rm -rf \"/tmp/$1\"", name);
    }
  }
}
