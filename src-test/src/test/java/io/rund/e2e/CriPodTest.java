package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.rund.e2e.cri.Streams;
import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.ContainerState;
import io.rund.e2e.cri.wire.ContainerStats;
import io.rund.e2e.cri.wire.ContainerStatus;
import io.rund.e2e.cri.wire.ExecSyncResponse;
import io.rund.e2e.cri.wire.LinuxContainerResources;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import io.rund.e2e.cri.wire.PodSandboxState;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the kubelet asks of a pod, through containerd's CRI plugin. The same tests with runc as the
 * pod's handler say what is right; {@code RUND_HANDLERS} names one of them alone.
 */
@E2e
@Tag("cgroup")
@Tag("containerd")
@ParameterizedClass
@MethodSource("handlers")
class CriPodTest {
  private static final int PORT = 8080;
  private static final long MIB = 1 << 20;

  /** Serves /work, says so, and counts its own restarts. */
  private static final String WEB =
      "echo starting; echo complaining >&2; echo x >>/work/starts; exec httpd -f -p 8080 -h /work";

  /** Answers each line of its input. */
  private static final String ECHO = "while read line; do echo heard $line; done; echo at its end";

  private final String handler;

  CriPodTest(String handler) {
    this.handler = handler;
  }

  static Stream<String> handlers() {
    String chosen = System.getenv().getOrDefault("RUND_HANDLERS", "runc,rund");
    return Stream.of(chosen.split(","));
  }

  @BeforeEach
  void forTheLabsCri() {
    LabExtension.prepareCri();
  }

  private static ContainerConfig.Builder limited(ContainerConfig.Builder config, long memory) {
    config.getLinuxBuilder().setResources(resources(memory));
    return config;
  }

  private static LinuxContainerResources resources(long memory) {
    return LinuxContainerResources.newBuilder()
        .setMemoryLimitInBytes(memory)
        .setCpuPeriod(100_000)
        .setCpuQuota(100_000)
        .setCpuShares(512)
        .build();
  }

  @Test
  void aPodsLife() throws Exception {
    try (CriPod pod = new CriPod(handler, CriPodTest::size)) {
      assertEquals(PodSandboxState.SANDBOX_READY, pod.client().podStatus(pod.id()).getState());
      anInitContainerComesBeforeTheOthers(pod);
      String web = pod.run("web", 0, limited(CriPod.shell(WEB), 128 * MIB));
      String echo = pod.run("echo", 0, CriPod.shell(ECHO).setStdin(true));
      assertEquals(ContainerState.CONTAINER_RUNNING, pod.client().status(web).getState());

      theVmHasThePodsSize(pod, web);
      whatIsSharedIsShared(pod, web, echo);
      commandsRun(pod, web);
      probesFromTheHostSucceed(pod, web);
      streamsOfACommand(pod, web);
      streamsOfAContainer(pod, echo);
      aPortIsForwarded(pod);
      logsAreInCrisFormat(pod);
      statsAreTrue(pod, web);
      limitsAreUpdated(pod, web);
      web = aContainerIsRestarted(pod, web, echo);

      pod.client().stopPod(pod.id());
      assertEquals(PodSandboxState.SANDBOX_NOTREADY, pod.client().podStatus(pod.id()).getState());
      assertEquals(ContainerState.CONTAINER_EXITED, pod.client().status(web).getState());
      // Removal is CriPod's; that nothing is left is seen after each test.
    }
  }

  private static void anInitContainerComesBeforeTheOthers(CriPod pod) throws Exception {
    String init =
        pod.run("init", 0, CriPod.shell("hostname >/work/made; cat /etc/resolv.conf >/work/dns"));
    ContainerStatus ended = pod.awaitExit(init);
    assertEquals(0, ended.getExitCode(), ended::toString);
    assertEquals("Completed", ended.getReason());
    assertTrue(ended.getFinishedAt() >= ended.getStartedAt(), ended::toString);
    pod.remove(init);
  }

  /** The sums of its containers' limits, which the kubelet makes. */
  private static void size(PodSandboxConfig.Builder pod) {
    pod.getLinuxBuilder()
        .setResources(
            LinuxContainerResources.newBuilder()
                .setMemoryLimitInBytes(192 * MIB)
                .setCpuPeriod(100_000)
                .setCpuQuota(150_000));
  }

  private void theVmHasThePodsSize(CriPod pod, String web) {
    if (handler.equals("runc")) {
      return;
    }
    assertEquals("2\n", pod.exec(web, "nproc"));
    long kib = Long.parseLong(pod.exec(web, "awk '/MemTotal/ { print $2 }' /proc/meminfo").strip());
    assertTrue(kib > 192 << 10 && kib < 256 << 10, () -> kib + " KiB");
  }

  private static void whatIsSharedIsShared(CriPod pod, String web, String echo) {
    assertEquals("cri-pod\n", pod.exec(web, "cat /work/made"));
    assertEquals("cri-pod\n", pod.exec(echo, "hostname"));
    String dns = pod.exec(web, "cat /work/dns");
    assertTrue(
        dns.contains("nameserver 10.96.0.10") && dns.contains("search e2e.svc.cluster.local"), dns);
    assertEquals(
        "cri-pod\n",
        pod.exec(
            echo,
            "for i in 1 2 3 4 5 6 7 8 9; do wget -qO- http://127.0.0.1:8080/made && break; sleep 1; done"),
        "localhost is the pod's");
    // Shared memory is the pod's, process ids are a container's own.
    pod.exec(web, "echo shared >/dev/shm/note");
    assertEquals("shared\n", pod.exec(echo, "cat /dev/shm/note"));
    assertTrue(commands(pod, web).contains("httpd"), "a container sees its own processes");
    assertFalse(commands(pod, echo).contains("httpd"), "and no others");
    assertEquals(
        pod.exec(web, "readlink /proc/1/ns/ipc"), pod.exec(echo, "readlink /proc/1/ns/ipc"));
    assertNotEquals(
        pod.exec(web, "readlink /proc/1/ns/pid"), pod.exec(echo, "readlink /proc/1/ns/pid"));
    assertTrue(pod.exec(web, "ip addr show eth0").contains(pod.address()), "the pod's address");
  }

  private static List<String> commands(CriPod pod, String container) {
    return pod.exec(container, "cat /proc/[0-9]*/comm").lines().toList();
  }

  private static void commandsRun(CriPod pod, String web) {
    ExecSyncResponse answer =
        pod.client().exec(web, Duration.ZERO, "sh", "-c", "echo out; echo err >&2; exit 3");
    assertEquals(3, answer.getExitCode());
    assertEquals("out\n", answer.getStdout().toStringUtf8());
    assertEquals("err\n", answer.getStderr().toStringUtf8());
    StatusRuntimeException late =
        assertThrows(
            StatusRuntimeException.class,
            () -> pod.client().exec(web, Duration.ofSeconds(2), "sleep", "300"));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, late.getStatus().getCode());
    assertFalse(commands(pod, web).contains("sleep"), "what was too slow is gone");
  }

  /** By command, by TCP (which the others begin with) and by HTTP. */
  private static void probesFromTheHostSucceed(CriPod pod, String web) throws Exception {
    assertEquals("", pod.exec(web, "test -f /work/made"));
    assertEquals("200 cri-pod\n", pod.get(PORT, "/made"));
    assertTrue(pod.get(PORT, "/missing").startsWith("404 "), "a failing probe fails");
  }

  private static void streamsOfACommand(CriPod pod, String web) throws Exception {
    String script = "echo ready >&2; read line; echo got $line; exit 5";
    CriPod.stream(
        pod.client().execUrl(web, false, "sh", "-c", script),
        "",
        streams -> {
          streams.await(Streams.STDERR, "ready\n");
          streams.send(Streams.STDIN, "a line\n");
          assertEquals("got a line\n", streams.await(Streams.STDOUT, "got a line\n"));
          String end = streams.await(Streams.STATUS, "}");
          assertTrue(end.contains("NonZeroExitCode") && end.contains("\"5\""), end);
        });
    CriPod.stream(
        pod.client().execUrl(web, true, "sh"),
        "",
        streams -> {
          streams.send(Streams.SIZE, "{\"Width\":77,\"Height\":33}");
          streams.send(Streams.STDIN, "until stty size | grep '33 77'; do sleep 0.2; done\n");
          streams.await(Streams.STDOUT, "\n33 77");
          streams.send(Streams.STDIN, "exit\n");
          assertTrue(streams.await(Streams.STATUS, "}").contains("Success"));
        });
  }

  private static void streamsOfAContainer(CriPod pod, String echo) throws Exception {
    CriPod.stream(
        pod.client().attachUrl(echo),
        "",
        streams -> {
          streams.send(Streams.STDIN, "you\n");
          streams.await(Streams.STDOUT, "heard you\n");
        });
  }

  private static void aPortIsForwarded(CriPod pod) throws Exception {
    CriPod.stream(
        pod.client().portForwardUrl(pod.id(), PORT),
        "port=" + PORT,
        streams -> {
          streams.send(0, "GET /made HTTP/1.0\r\n\r\n");
          streams.await(0, "\r\n\r\ncri-pod\n");
        });
  }

  private static void logsAreInCrisFormat(CriPod pod) {
    String time = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d+(Z|[+-]\\d\\d:\\d\\d)";
    assertMatch(time + " stdout F starting", pod.logged("web", 0, "starting"));
    assertMatch(time + " stderr F complaining", pod.logged("web", 0, "complaining"));
    assertMatch(time + " stdout F heard you", pod.logged("echo", 0, "heard you"));
  }

  private static void assertMatch(String pattern, List<String> lines) {
    assertEquals(1, lines.size(), lines::toString);
    assertTrue(lines.getFirst().matches(pattern), lines::toString);
  }

  private static void statsAreTrue(CriPod pod, String web) {
    ContainerStats before = pod.client().stats(web);
    pod.exec(
        web,
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/fill bs=1M count=16 2>/dev/null");
    ContainerStats after = pod.client().stats(web);
    long used =
        after.getCpu().getUsageCoreNanoSeconds().getValue()
            - before.getCpu().getUsageCoreNanoSeconds().getValue();
    assertTrue(used > 1_000_000, () -> "CPU time between %s and %s".formatted(before, after));
    long memory =
        after.getMemory().getWorkingSetBytes().getValue()
            - before.getMemory().getWorkingSetBytes().getValue();
    assertTrue(
        memory > 15 * MIB && memory < 64 * MIB,
        () -> "memory between %s and %s".formatted(before, after));
    pod.exec(web, "rm /dev/shm/fill");
  }

  private static void limitsAreUpdated(CriPod pod, String web) {
    String limit =
        "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assertEquals(128 * MIB + "\n", pod.exec(web, limit));
    pod.client().update(web, resources(160 * MIB));
    assertEquals(160 * MIB + "\n", pod.exec(web, limit));
  }

  private static String aContainerIsRestarted(CriPod pod, String web, String echo)
      throws Exception {
    pod.client().stop(web, Duration.ofSeconds(1));
    ContainerStatus ended = pod.client().status(web);
    assertEquals(ContainerState.CONTAINER_EXITED, ended.getState());
    assertTrue(ended.getExitCode() == 137 || ended.getExitCode() == 143, ended::toString);
    pod.remove(web);
    String again = pod.run("web", 1, limited(CriPod.shell(WEB), 128 * MIB));
    assertEquals("200 x\nx\n", pod.get(PORT, "/starts"));
    assertEquals(ContainerState.CONTAINER_RUNNING, pod.client().status(echo).getState());
    assertEquals("cri-pod\n", pod.exec(echo, "wget -qO- http://127.0.0.1:8080/made"));
    return again;
  }
}
