package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.StatusRuntimeException;
import io.rund.e2e.cri.CriClient;
import io.rund.e2e.cri.Tunnel;
import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.ContainerMetadata;
import io.rund.e2e.cri.wire.ContainerState;
import io.rund.e2e.cri.wire.ContainerStatus;
import io.rund.e2e.cri.wire.ExecSyncResponse;
import io.rund.e2e.cri.wire.ImageSpec;
import io.rund.e2e.cri.wire.LinuxPodSandboxConfig;
import io.rund.e2e.cri.wire.LinuxSandboxSecurityContext;
import io.rund.e2e.cri.wire.Mount;
import io.rund.e2e.cri.wire.PodSandbox;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import io.rund.e2e.cri.wire.PodSandboxMetadata;
import io.rund.e2e.cri.wire.PodSandboxState;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Many pods of rund's, each with one container that waits, made through one connection to
 * containerd's CRI plugin. Safe for use by several threads.
 */
final class CriPods implements AutoCloseable {
  /** A call waits for those of all others, on an emulated machine. */
  private static final Duration BOUND = Duration.ofMinutes(20);

  private static final Duration COMES_BACK = Duration.ofMinutes(2);
  private static final Duration SHORT = Duration.ofMinutes(3);

  /** Where {@link #run(int, String)} has logs; the containers see it as /logs. */
  private static final String LOGS = "/tmp/cri-many";

  /** What a pod and its container are known by. */
  record Pod(String name, String id, String container) {}

  private final Set<String> ids = ConcurrentHashMap.newKeySet();
  private Tunnel containerd = CriPod.toContainerd();
  private CriClient client = new CriClient(containerd.address(), BOUND);

  /** A new pod, its container started. */
  Pod run() {
    return run(ContainerConfig.newBuilder().addCommand("probe").addArgs("sleep"), "");
  }

  private Pod run(ContainerConfig.Builder container, String logs) {
    String name = Lab.id("cri-many");
    PodSandboxConfig config =
        PodSandboxConfig.newBuilder()
            .setMetadata(
                PodSandboxMetadata.newBuilder().setName(name).setUid(name).setNamespace("e2e"))
            .setHostname(name)
            .setLogDirectory(logs)
            .setLinux(
                LinuxPodSandboxConfig.newBuilder()
                    .setCgroupParent("/rund-e2e")
                    .setSecurityContext(
                        LinuxSandboxSecurityContext.newBuilder()
                            .setNamespaceOptions(CriPod.NAMESPACES)))
            .build();
    String id = client.runPod(config, "rund");
    ids.add(id);
    container
        .setMetadata(ContainerMetadata.newBuilder().setName("works"))
        .setImage(ImageSpec.newBuilder().setImage(CriPod.IMAGE));
    if (!logs.isEmpty()) {
      container
          .setLogPath(name + ".log")
          .addMounts(Mount.newBuilder().setContainerPath("/logs").setHostPath(logs));
    }
    container.getLinuxBuilder().getSecurityContextBuilder().setNamespaceOptions(CriPod.NAMESPACES);
    Pod pod = new Pod(name, id, client.create(id, config, container.build()));
    client.start(pod.container());
    return pod;
  }

  /** So many, all asked for at once. */
  List<Pod> run(int count) {
    return atOnce(Stream.generate(() -> "").limit(count).toList(), _ -> run());
  }

  /** So many, whose containers run a script and have their output logged. */
  List<Pod> run(int count, String script) {
    Lab.script(SHORT, "mkdir -p " + LOGS).expectExit(0);
    return atOnce(
        Stream.generate(() -> script).limit(count).toList(), text -> run(CriPod.shell(text), LOGS));
  }

  /** What the container of a pod has written to its standard output. */
  List<String> output(Pod pod) {
    return Lab.script(
            SHORT, "sed -n 's/^[^ ]* stdout F //p' \"$1\"", "%s/%s.log".formatted(LOGS, pod.name()))
        .out()
        .lines()
        .toList();
  }

  /** Waits for the end of a pod's container. */
  int exitStatus(Pod pod) throws InterruptedException {
    long end = System.nanoTime() + SHORT.toNanos();
    ContainerStatus status = client.status(pod.container());
    while (status.getState() != ContainerState.CONTAINER_EXITED && System.nanoTime() < end) {
      Thread.sleep(500);
      status = client.status(pod.container());
    }
    assertEquals(ContainerState.CONTAINER_EXITED, status.getState(), status::toString);
    return status.getExitCode();
  }

  /** The id of the kernel that a pod runs on, as a command in its container answers. */
  String kernel(Pod pod) {
    ExecSyncResponse answer =
        client.exec(pod.container(), Duration.ZERO, "cat", "/proc/sys/kernel/random/boot_id");
    assertEquals(0, answer.getExitCode(), answer::toString);
    return answer.getStdout().toStringUtf8().strip();
  }

  List<String> kernels(List<Pod> pods) {
    return atOnce(pods, this::kernel);
  }

  /** Ends a pod with its container and forgets it. */
  void remove(Pod pod) {
    var _ = end(pod.id());
  }

  void remove(List<Pod> pods) {
    var _ = atOnce(pods, pod -> end(pod.id()));
  }

  /** Whether it was still one of ours. */
  private boolean end(String id) {
    client.stopPod(id);
    client.removePod(id);
    return ids.remove(id);
  }

  /** Those of ours that containerd knows and takes for ready. */
  List<String> ready() {
    return client.pods().stream()
        .filter(pod -> pod.getState() == PodSandboxState.SANDBOX_READY)
        .map(PodSandbox::getId)
        .filter(ids::contains)
        .sorted()
        .toList();
  }

  /** How many of these containerd knows, in whatever state. */
  long known(List<Pod> pods) {
    List<String> wanted = pods.stream().map(Pod::id).toList();
    return client.pods().stream().map(PodSandbox::getId).filter(wanted::contains).count();
  }

  /** To a containerd that has been started anew: waits until it has found its pods again. */
  void reconnect() throws InterruptedException {
    disconnect();
    containerd = CriPod.toContainerd();
    client = new CriClient(containerd.address(), BOUND);
    long end = System.nanoTime() + COMES_BACK.toNanos();
    while (true) {
      try {
        var _ = client.pods();
        return;
      } catch (StatusRuntimeException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
      }
      Thread.sleep(500);
    }
  }

  private void disconnect() {
    client.close();
    containerd.close();
  }

  /** Returns when all have ended, and throws what one of them threw. */
  private static <T, R> List<R> atOnce(List<T> all, Function<T, R> work) {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<CompletableFuture<R>> answers =
          all.stream()
              .map(one -> CompletableFuture.supplyAsync(() -> work.apply(one), threads))
              .toList();
      return answers.stream().map(CompletableFuture::join).toList();
    }
  }

  /** Removes what is left. */
  @Override
  public void close() {
    try {
      var _ = atOnce(List.copyOf(ids), this::end);
    } finally {
      disconnect();
    }
  }
}
