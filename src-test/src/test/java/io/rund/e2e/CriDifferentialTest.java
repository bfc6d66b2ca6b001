package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.DNSConfig;
import io.rund.e2e.cri.wire.Int64Value;
import io.rund.e2e.cri.wire.LinuxContainerConfig;
import io.rund.e2e.cri.wire.LinuxContainerResources;
import io.rund.e2e.cri.wire.LinuxContainerSecurityContext;
import io.rund.e2e.cri.wire.PodSandboxConfig;
import io.rund.e2e.cri.wire.SecurityProfile;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * One pod, two handlers: what the probe sees in each of its containers under rund is what it sees
 * under runc, but for {@link AllowedDifference}. The containers differ in what a pod's
 * specification can set. Limits of single processes (ulimits) CRI does not know: those that are
 * inherited are compared.
 */
@E2e
@Tag("containerd")
class CriDifferentialTest {
  /** What the kubelet asks for unless procMount says otherwise (pkg/securitycontext). */
  private static final LinuxContainerSecurityContext KUBELETS =
      LinuxContainerSecurityContext.newBuilder()
          .addAllMaskedPaths(
              List.of(
                  "/proc/asound",
                  "/proc/acpi",
                  "/proc/kcore",
                  "/proc/keys",
                  "/proc/latency_stats",
                  "/proc/timer_list",
                  "/proc/timer_stats",
                  "/proc/sched_debug",
                  "/proc/scsi",
                  "/sys/firmware"))
          .addAllReadonlyPaths(
              List.of("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"))
          .build();

  private static final Map<String, String> SYSCTLS =
      Map.of(
          "net.ipv4.ip_unprivileged_port_start", "80",
          "net.ipv4.ping_group_range", "0 1000",
          "net.ipv4.conf.eth0.rp_filter", "2",
          "net.core.somaxconn", "512",
          "kernel.shm_rmid_forced", "1",
          "kernel.msgmax", "16384",
          "fs.mqueue.msg_max", "20");

  /** A file of the node with a seccomp profile. */
  private static final String PROFILE = "/tmp/no-new-namespaces.json";

  /** What there is to see beside the probe's view. */
  private static final String LOOK =
      """
      echo "dns=$(tr '\\n' ';' </etc/resolv.conf)"
      echo "hosts=$(tr '\\n\\t' '; ' </etc/hosts)"
      echo "shm=$(df -k /dev/shm | awk 'END { print $2 }')"
      echo "groups=$(grep -c : /etc/group)"
      echo "var=$(ls /var)"
      echo "tmp=$(touch /tmp/made 2>/dev/null && echo writable)"
      echo "namespace=$(unshare -U true 2>/dev/null && echo new)"
      exec probe view
      """;

  /** A container of the pod, by what is particular to it. */
  record Variant(String name, Consumer<LinuxContainerConfig.Builder> particular) {
    static Variant secured(String name, Consumer<LinuxContainerSecurityContext.Builder> more) {
      return new Variant(name, linux -> more.accept(linux.getSecurityContextBuilder()));
    }

    ContainerConfig.Builder container() {
      ContainerConfig.Builder config = CriPod.shell(LOOK);
      LinuxContainerConfig.Builder linux = config.getLinuxBuilder().setSecurityContext(KUBELETS);
      particular.accept(linux);
      return config;
    }
  }

  private static final List<Variant> VARIANTS =
      List.of(
          new Variant("nothing", _ -> {}),
          Variant.secured(
              "user",
              security ->
                  security
                      .setRunAsUser(id(1000))
                      .setRunAsGroup(id(2000))
                      .addSupplementalGroups(4000)
                      .addSupplementalGroups(3000)),
          Variant.secured(
              "capabilities",
              security ->
                  security
                      .getCapabilitiesBuilder()
                      .addAddCapabilities("NET_ADMIN")
                      .addAddCapabilities("SYS_PTRACE")
                      .addDropCapabilities("NET_RAW")
                      .addDropCapabilities("CHOWN")),
          Variant.secured(
              "seccomp",
              security -> security.setSeccomp(profile(SecurityProfile.ProfileType.RuntimeDefault))),
          Variant.secured(
              "profile",
              security ->
                  security.setSeccomp(
                      profile(SecurityProfile.ProfileType.Localhost).toBuilder()
                          .setLocalhostRef(PROFILE))),
          Variant.secured(
              "unconfined",
              security ->
                  security
                      .setNoNewPrivs(true)
                      .setSeccomp(profile(SecurityProfile.ProfileType.Unconfined))),
          Variant.secured("read-only", security -> security.setReadonlyRootfs(true)),
          Variant.secured(
              "paths",
              security ->
                  security
                      .addMaskedPaths("/etc/group")
                      .addMaskedPaths("/var")
                      .addReadonlyPaths("/tmp")),
          new Variant(
              "limits",
              linux ->
                  linux.setResources(
                      LinuxContainerResources.newBuilder()
                          .setMemoryLimitInBytes(100 << 20)
                          .setCpuPeriod(100_000)
                          .setCpuQuota(80_000)
                          .setCpuShares(512))));

  private static Int64Value id(long id) {
    return Int64Value.newBuilder().setValue(id).build();
  }

  private static SecurityProfile profile(SecurityProfile.ProfileType type) {
    return SecurityProfile.newBuilder().setProfileType(type).build();
  }

  @BeforeEach
  void forTheLabsCri() {
    LabExtension.prepareCri();
    Lab.script(
            Duration.ofMinutes(1),
            """
            echo '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
              "syscalls": [{"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >"$1"
            """,
            PROFILE)
        .expectExit(0);
  }

  private static void configure(PodSandboxConfig.Builder pod) {
    pod.setHostname("viewed")
        .setDnsConfig(
            DNSConfig.newBuilder()
                .addServers("10.96.0.10")
                .addServers("10.96.0.11")
                .addSearches("e2e.svc.cluster.local")
                .addSearches("cluster.local")
                .addOptions("ndots:2")
                .addOptions("timeout:3"));
    pod.getLinuxBuilder().putAllSysctls(SYSCTLS);
  }

  private static Map<String, View> look(String handler) throws InterruptedException {
    Map<String, View> views = new LinkedHashMap<>();
    try (CriPod pod = new CriPod(handler, CriDifferentialTest::configure)) {
      for (Variant variant : VARIANTS) {
        String container = pod.run(variant.name(), 0, variant.container());
        assertEquals(0, pod.awaitExit(container).getExitCode(), variant.name());
        View view = View.of(pod.output(variant.name(), 0));
        view.assertSeen("%s under %s: %s".formatted(variant.name(), handler, view));
        views.put(variant.name(), view);
      }
    }
    return views;
  }

  @Test
  void whatAPodCanSetIsAsUnderRunc() throws InterruptedException {
    Map<String, View> runc = look("runc");
    Map<String, View> rund = look("rund");
    List<String> unexpected = new ArrayList<>();
    runc.forEach(
        (variant, view) ->
            view.unexpectedIn(rund.get(variant))
                .forEach(line -> unexpected.add(variant + ": " + line)));
    assertTrue(
        unexpected.isEmpty(),
        () -> "differences that a VM does not explain:\n  " + String.join("\n  ", unexpected));
    assertTookEffect(rund);
  }

  /** That both may have ignored it would be no difference. */
  private static void assertTookEffect(Map<String, View> views) {
    assertSees(views, "nothing", "uname.hostname", "viewed");
    assertSees(views, "nothing", "sysctl.net/ipv4/ip_unprivileged_port_start", "80");
    assertSees(views, "nothing", "sysctl.net/ipv4/conf/eth0/rp_filter", "2");
    assertSees(views, "nothing", "sysctl.kernel/shm_rmid_forced", "1");
    assertSees(views, "nothing", "shm", "65536");
    assertSees(views, "nothing", "status.Seccomp", "0");
    assertSees(views, "nothing", "var", "tmp");
    assertSees(views, "user", "status.Uid", "1000 1000 1000 1000");
    assertSees(views, "nothing", "namespace", "new");
    assertSees(views, "seccomp", "status.Seccomp", "2");
    assertSees(views, "profile", "status.Seccomp", "2");
    assertSees(views, "profile", "namespace", "");
    assertSees(views, "unconfined", "status.NoNewPrivs", "1");
    assertSees(views, "read-only", "tmp", "");
    assertSees(views, "paths", "var", "");
    assertSees(views, "paths", "groups", "0");
    assertSees(views, "paths", "tmp", "");
    assertSees(views, "limits", "cgroup.cpu.max", "80000 100000");
    String groups = views.get("user").lines().get("status.Groups");
    assertTrue(groups.endsWith("3000 4000"), groups);
    String dns = views.get("nothing").lines().get("dns");
    assertTrue(dns.contains("nameserver 10.96.0.11") && dns.contains("timeout:3"), dns);
  }

  private static void assertSees(
      Map<String, View> views, String variant, String key, String value) {
    assertEquals(value, views.get(variant).lines().get(key), () -> key + " of " + variant);
  }
}
