package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.StatusRuntimeException;
import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.NamespaceMode;
import io.rund.e2e.cri.wire.NamespaceOption;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import java.util.Locale;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a pod may ask for and a VM cannot give: whoever asks is told the reason. */
@E2e
@Tag("containerd")
class CriRefusalTest {
  @BeforeEach
  void forTheLabsCri() {
    LabExtension.prepareCri();
  }

  @Test
  void theHostsProcesses() {
    assertNoPod(NamespaceOption.newBuilder().setPid(NamespaceMode.NODE), "hostPID", "kernel");
  }

  @Test
  void theHostsIpc() {
    assertNoPod(
        NamespaceOption.newBuilder().setPid(NamespaceMode.CONTAINER).setIpc(NamespaceMode.NODE),
        "hostIPC",
        "shares no memory");
  }

  @Test
  void theHostsNetwork() {
    assertNoPod(
        NamespaceOption.newBuilder().setPid(NamespaceMode.CONTAINER).setNetwork(NamespaceMode.NODE),
        "host networking",
        "network stack of its own");
  }

  /** A privileged container has all devices of the host, unless containerd leaves them out. */
  @Test
  void theHostsDevicesOfAPrivilegedContainer() {
    try (CriPod pod =
        new CriPod(
            "rund",
            asked -> asked.getLinuxBuilder().getSecurityContextBuilder().setPrivileged(true))) {
      ContainerConfig.Builder container = CriPod.shell("true");
      container.getLinuxBuilder().getSecurityContextBuilder().setPrivileged(true);
      assertRefused(
          () -> pod.run("privileged", 0, container),
          "device /dev/",
          "is the host's",
          "privileged_without_host_devices");
      // The pod is none the worse.
      pod.exec(pod.run("other", 0, CriPod.shell("exec probe sleep")), "true");
    }
  }

  private static void assertNoPod(NamespaceOption.Builder namespaces, String... words) {
    assertRefused(
        () -> {
          try (CriPod pod = new CriPod("rund", asked -> share(asked, namespaces))) {
            throw new AssertionError("there is a pod " + pod.id());
          }
        },
        words);
  }

  private static void share(PodSandboxConfig.Builder pod, NamespaceOption.Builder namespaces) {
    pod.getLinuxBuilder().getSecurityContextBuilder().setNamespaceOptions(namespaces);
  }

  private static void assertRefused(Executable request, String... words) {
    StatusRuntimeException refusal = assertThrows(StatusRuntimeException.class, request);
    String reason = refusal.getMessage().toLowerCase(Locale.ROOT);
    for (String word : words) {
      assertTrue(
          reason.contains(word.toLowerCase(Locale.ROOT)),
          () -> word + " in " + refusal.getMessage());
    }
  }
}
