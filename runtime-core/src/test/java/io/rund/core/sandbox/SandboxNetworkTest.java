package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.EventLoop;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SandboxNetworkTest {
  private static final Path NAMESPACE = Path.of("/proc/7/ns/net");

  private final EventLoop loop = new EventLoop("test");
  private final FakeSandbox sandbox = new FakeSandbox(loop);
  private final FakeNetwork pod = new FakeNetwork();
  private final SandboxNetwork network = new SandboxNetwork(pod, "s", sandbox, sandbox, () -> 1);
  private final Timeline timeline = new Timeline(System.nanoTime());

  @AfterEach
  void close() {
    loop.close();
  }

  @Test
  void eachInterfaceBecomesACardThatTheAgentSetsUpOnce() {
    pod.interfaces.addAll(List.of("eth0", "net1"));
    network.attach(NAMESPACE, timeline);
    network.attach(NAMESPACE, timeline);
    assertEquals(List.of("s /proc/7/ns/net"), pod.calls);
    assertEquals(List.of("eth0", "net1"), sandbox.nics);
    assertEquals(List.of("11 eth0", "12 net1"), sandbox.configured);
    assertEquals("attach network", timeline.phases().getFirst().name());
    network.close();
    assertEquals(List.of("s /proc/7/ns/net", "closed"), pod.calls);
  }

  @Test
  void sysctlsAreWrittenWhenTheInterfacesAreThere() {
    pod.interfaces.add("eth0");
    sandbox.onSysctls = () -> assertEquals(List.of("11 eth0"), sandbox.configured);
    network.setSysctls(Map.of("net.ipv4.conf.eth0.rp_filter", "1"));
    assertEquals(Map.of(), sandbox.sysctls);
    network.attach(NAMESPACE, timeline);
    assertEquals(Map.of("net.ipv4.conf.eth0.rp_filter", "1"), sandbox.sysctls);
    network.setSysctls(Map.of("net.core.somaxconn", "9"));
    assertEquals("9", sandbox.sysctls.get("net.core.somaxconn"));
  }

  @Test
  void theAgentIsNotAskedForNothing() {
    sandbox.networkFailure = RundException.invalid("asked");
    network.attach(NAMESPACE, timeline);
    assertTrue(sandbox.configured.isEmpty());
  }

  @Test
  void whatTheGuestCannotDoIsSaidAgainAndReleased() {
    pod.interfaces.add("eth0");
    sandbox.networkFailure =
        new RundException(ErrorCode.INTERNAL, "adding the route to 10.9.0.0/16 on eth0: why");
    for (int i = 0; i < 2; i++) {
      RundException e =
          assertThrows(RundException.class, () -> network.attach(NAMESPACE, timeline));
      assertEquals(ErrorCode.INTERNAL, e.code());
      assertEquals(
          "cannot attach sandbox s to its network: the guest: adding the route to 10.9.0.0/16 on eth0: why",
          e.getMessage());
    }
    network.close();
    assertEquals(List.of("s /proc/7/ns/net", "closed"), pod.calls);
  }

  @Test
  void tapsWithoutASlotAreClosed() {
    pod.interfaces.addAll(List.of("eth0", "net1", "net2"));
    sandbox.nicFailure = new RundException(ErrorCode.RESOURCE_EXHAUSTED, "no slot");
    RundException e = assertThrows(RundException.class, () -> network.attach(NAMESPACE, timeline));
    assertTrue(e.getMessage().contains("a network card for eth0: no slot"), e.getMessage());
    pod.taps.forEach(tap -> assertFalse(tap.isOpen()));
    network.close();
  }

  @Test
  void whatNobodyForesawIsAFailureToo() {
    pod.interfaces.addAll(List.of("eth0", "net1"));
    sandbox.nicFailure = new LastErrorException(24);
    for (int i = 0; i < 2; i++) {
      RundException e =
          assertThrows(RundException.class, () -> network.attach(NAMESPACE, timeline));
      assertTrue(e.getMessage().contains("errno was 24"), e.getMessage());
    }
    pod.taps.forEach(tap -> assertFalse(tap.isOpen()));
    network.close();
  }

  @Test
  void nothingIsAttachedToWhatHasEnded() {
    network.close();
    assertThrows(RundException.class, () -> network.attach(NAMESPACE, timeline));
    assertTrue(pod.calls.isEmpty());
  }
}
