package io.rund.network;

import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.MacAddress;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import io.rund.core.network.InterfaceConfig;
import io.rund.core.network.InterfaceConfig.Address;
import io.rund.core.network.InterfaceConfig.Neighbour;
import io.rund.core.network.InterfaceConfig.Route;
import io.rund.core.network.PodNetwork.Attachment;
import io.rund.core.network.PodNetwork.Card;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Real namespaces, interfaces and queueing disciplines. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class CniNetworkTest {
  private static final String MAC = "0a:58:0a:58:00:02";
  private static final int SCOPE_LINK = 253;

  private TestNetwork network;
  private long descriptors;

  @BeforeEach
  void setUp() {
    network = new TestNetwork();
    descriptors = TestNetwork.descriptors();
  }

  @AfterEach
  void tearDown() {
    if (network != null) {
      network.close();
    }
  }

  private Attachment attach() {
    return new CniNetwork().attach("s", network.podNamespace());
  }

  private static void detach(Attachment attachment) {
    attachment.cards().forEach(card -> card.nic().tap().close());
    attachment.close();
    attachment.close();
  }

  private static InetAddress ip(String text) {
    try {
      return InetAddress.getByName(text);
    } catch (UnknownHostException e) {
      throw new AssertionError(e);
    }
  }

  private static Route linkRoute(String to, int bits, String source, int scope, int metric) {
    return new Route(
        ip(to),
        bits,
        Optional.empty(),
        Optional.ofNullable(source).map(CniNetworkTest::ip),
        scope,
        metric,
        false,
        0);
  }

  private static Route gatewayRoute(String to, int bits, String gateway, int metric) {
    return new Route(ip(to), bits, Optional.of(ip(gateway)), Optional.empty(), 0, metric, false, 0);
  }

  @Test
  void whatAPluginHasSetUpIsFound() {
    network.veth("eth0", MAC, 1400);
    network.inPod("ip addr add 10.88.0.2/24 brd 10.88.0.255 dev eth0");
    network.inPod("ip addr add fd88::2/64 dev eth0 nodad");
    network.inPod("ip route add default via 10.88.0.1");
    network.inPod("ip route add 172.20.0.0/16 via 192.0.2.1 dev eth0 onlink metric 7 mtu 1300");
    network.inPod("ip -6 route add default via fd88::1 metric 5");
    network.inPod("ip route add blackhole 203.0.113.0/24");
    network.inPod("ip neigh add 10.88.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent");
    network.inPod("ip neigh add 10.88.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud stale");
    Attachment attachment = attach();
    Card card = attachment.cards().getFirst();
    assertEquals(1, attachment.cards().size());
    assertEquals("eth0", card.nic().name());
    assertEquals(MAC, card.nic().mac().toString());
    assertEquals(1400, card.nic().mtu());
    InterfaceConfig config = card.config();
    assertEquals("eth0", config.name());
    assertEquals(1400, config.mtu());
    assertEquals(
        List.of(
            new Address(ip("10.88.0.2"), 24, Optional.of(ip("10.88.0.255")), 0),
            new Address(ip("fd88::2"), 64, Optional.empty(), 0)),
        config.addresses());
    assertEquals(
        Set.of(
            linkRoute("10.88.0.0", 24, "10.88.0.2", SCOPE_LINK, 0),
            gatewayRoute("0.0.0.0", 0, "10.88.0.1", 0),
            new Route(
                ip("172.20.0.0"),
                16,
                Optional.of(ip("192.0.2.1")),
                Optional.empty(),
                0,
                7,
                true,
                1300),
            linkRoute("fd88::", 64, null, 0, 256),
            gatewayRoute("::", 0, "fd88::1", 5)),
        Set.copyOf(config.routes()));
    assertEquals(
        List.of(new Neighbour(ip("10.88.0.1"), new MacAddress(0x0200_0000_0001L))),
        config.neighbours());
    detach(attachment);
  }

  @Test
  void routesThatAPluginDeletedAreNotThere() {
    network.veth("eth0", MAC, 1500);
    // As the plugin ptp does it.
    network.inPod("ip addr add 10.1.1.2/24 dev eth0");
    network.inPod("ip route del 10.1.1.0/24");
    network.inPod("ip route add 10.1.1.1 dev eth0 src 10.1.1.2");
    network.inPod("ip route add 10.1.1.0/24 via 10.1.1.1 src 10.1.1.2");
    Attachment attachment = attach();
    Route overGateway =
        new Route(
            ip("10.1.1.0"),
            24,
            Optional.of(ip("10.1.1.1")),
            Optional.of(ip("10.1.1.2")),
            0,
            0,
            false,
            0);
    assertEquals(
        Set.of(linkRoute("10.1.1.1", 32, "10.1.1.2", SCOPE_LINK, 0), overGateway),
        Set.copyOf(attachment.cards().getFirst().config().routes()));
    detach(attachment);
  }

  @Test
  void packetsGoToTheTapAndBackAndNothingIsLeft() throws Exception {
    network.veth("eth0", MAC, 1500);
    network.inPod("ip addr add 10.88.0.2/24 dev eth0");
    network.inNode("ip addr add 10.88.0.1/24 dev eth0-peer");
    String before = network.podState();
    for (int round = 0; round < 3; round++) {
      Attachment attachment = attach();
      // The namespace's own stack would not answer for this address.
      try (EchoGuest _ = new EchoGuest(attachment.cards().getFirst(), ip("10.88.0.77"))) {
        assertTrue(network.inPod("ip addr show eth0").contains("10.88.0.2/24"));
        assertTrue(network.inNode("busybox ping -c 2 -W 5 10.88.0.77").contains("2 packets rec"));
      }
      detach(attachment);
      assertEquals(before, network.podState());
      assertEquals(descriptors, TestNetwork.descriptors());
    }
  }

  @Test
  void connectionsInsideTheNamespaceAreSteeredWhateverTheirPort() {
    network.veth("eth0", MAC, 1500);
    Attachment attachment = attach();
    int listener = attachment.connections().orElseThrow().number();
    Map<Integer, String> targets = Map.of(8080, "127.0.0.1", 9, "::1", 65535, "127.0.0.1");
    for (Map.Entry<Integer, String> target : targets.entrySet()) {
      Process client =
          network.startInPod("busybox nc " + target.getValue() + " " + target.getKey());
      int number;
      do {
        number = Libc.Try.accept4(listener, 0, 0, Linux.O_CLOEXEC);
      } while (number < 0 && client.isAlive());
      assertTrue(number >= 0, target::toString);
      try (Fd _ = new Fd(number)) {
        String connections = network.inPod("ss -Htn state established");
        assertTrue(connections.contains(":" + target.getKey()), connections);
      }
      client.destroy();
    }
    detach(attachment);
    assertEquals(descriptors, TestNetwork.descriptors());
  }

  @Test
  void aNamespaceThatASandboxHasIsNobodyElses() {
    network.veth("eth0", MAC, 1500);
    Attachment attachment = attach();
    RundException e = assertThrows(RundException.class, () -> attach().close());
    assertEquals(ErrorCode.FAILED_PRECONDITION, e.code());
    assertTrue(e.getMessage().contains("another sandbox, whose tap is rund0"), e::getMessage);
    assertTrue(network.inPod("tc filter show dev eth0 ingress").contains("rund0"));
    detach(attachment);
    detach(attach());
  }

  @Test
  void ofManyThatComeAtOnceNoneTakesThePacketsOfAnother() throws Exception {
    network.veth("eth0", MAC, 1500);
    for (int round = 0; round < 20; round++) {
      List<CompletableFuture<Attachment>> attempts = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        attempts.add(CompletableFuture.supplyAsync(this::attach, Thread::startVirtualThread));
      }
      List<Attachment> attached = new ArrayList<>();
      for (CompletableFuture<Attachment> attempt : attempts) {
        attempt.exceptionally(_ -> null).join();
        if (!attempt.isCompletedExceptionally()) {
          attached.add(attempt.join());
        }
      }
      assertTrue(attached.size() <= 1, () -> attached.size() + " have the one interface");
      attached.forEach(CniNetworkTest::detach);
      assertFalse(network.podState().contains("ingress"));
    }
    assertEquals(descriptors, TestNetwork.descriptors());
  }

  @Test
  void theHostsOwnNamespaceIsRefusedAndLeftAlone() {
    for (String path : List.of("/proc/self/ns/net", "/proc/thread-self/ns/net")) {
      RundException e =
          assertThrows(
              RundException.class, () -> new CniNetwork().attach("s", Path.of(path)).close());
      assertEquals(ErrorCode.FAILED_PRECONDITION, e.code());
      assertTrue(e.getMessage().contains("the host's own network namespace"), e::getMessage);
    }
    assertEquals(descriptors, TestNetwork.descriptors());
  }

  @Test
  void anInterfaceWithoutArpStaysOne() {
    network.veth("eth0", MAC, 1500);
    network.veth("net1", "0a:58:0a:58:00:03", 1500);
    network.inPod("ip link set net1 arp off");
    Attachment attachment = attach();
    assertEquals(
        Map.of("eth0", true, "net1", false),
        attachment.cards().stream()
            .map(Card::config)
            .collect(toMap(InterfaceConfig::name, InterfaceConfig::arp)));
    detach(attachment);
  }

  @Test
  void aRouteOverAGatewayOfAnotherFamilyIsNoneToTheLink() {
    network.veth("eth0", MAC, 1500);
    network.inPod("ip addr add 10.88.0.2/24 dev eth0");
    network.inPod("ip route add default via inet6 fe80::1 dev eth0");
    Attachment attachment = attach();
    assertEquals(
        Set.of(linkRoute("10.88.0.0", 24, "10.88.0.2", SCOPE_LINK, 0)),
        attachment.cards().getFirst().config().routes().stream()
            .filter(route -> route.destination() instanceof Inet4Address)
            .collect(toSet()));
    detach(attachment);
  }

  @Test
  void eachInterfaceGetsACard() {
    network.veth("eth0", MAC, 1500);
    network.veth("net1", "0a:58:0a:58:00:03", 9000);
    network.inPod("ip link add down0 type veth peer name down1");
    Attachment attachment = attach();
    assertEquals(
        Set.of("eth0 1500", "net1 9000"),
        Set.copyOf(
            attachment.cards().stream()
                .map(card -> card.nic().name() + " " + card.nic().mtu())
                .toList()));
    detach(attachment);
  }

  @Test
  void aNamespaceWithOnlyALoopbackInterfaceGivesNoCard() {
    String before = network.podState();
    Attachment attachment = attach();
    assertTrue(attachment.cards().isEmpty());
    attachment.close();
    assertEquals(before, network.podState());
    assertEquals(descriptors, TestNetwork.descriptors());
  }

  @Test
  void othersFiltersStay() {
    network.veth("eth0", MAC, 1500);
    network.inPod("tc qdisc add dev eth0 clsact");
    network.inPod("tc filter add dev eth0 ingress prio 1 protocol ip u32 match u32 0 0 flowid 1:1");
    String before = network.podState() + network.inPod("tc filter show dev eth0 ingress");
    detach(attach());
    assertEquals(before, network.podState() + network.inPod("tc filter show dev eth0 ingress"));
  }

  @Test
  void whatAKilledEngineLeftIsReplaced() {
    network.veth("eth0", MAC, 1500);
    Attachment killed = attach();
    killed.cards().forEach(card -> card.nic().tap().close());
    Attachment attachment = attach();
    String filters = network.inPod("tc filter show dev eth0 ingress");
    assertEquals(1, filters.split("mirred", -1).length - 1, filters);
    detach(attachment);
    killed.close();
    assertFalse(network.podState().contains("ingress"));
  }

  @Test
  void aRedirectionThatFailsLeavesNothing() {
    network.veth("eth0", MAC, 1500);
    String before = network.podState();
    int from = Integer.parseInt(network.inPod("ip -o link show eth0").split(":", -1)[0]);
    try (Namespace namespace = Namespace.open(network.podNamespace())) {
      assertThrows(RundException.class, () -> namespace.call(() -> redirect(from, 99_999)));
    }
    assertEquals(before, network.podState());
  }

  private static boolean redirect(int from, int to) {
    try (Netlink netlink = Netlink.open()) {
      return new Redirect(netlink).add(from, to);
    }
  }

  @Test
  void anInterfaceThatIsGoneIsNoErrorAtTheEnd() {
    network.veth("eth0", MAC, 1500);
    Attachment attachment = attach();
    network.inPod("ip link del eth0");
    detach(attachment);
    assertEquals(descriptors, TestNetwork.descriptors());
  }

  @Test
  void aNamespaceThatIsNotThereIsNamed() {
    RundException e =
        assertThrows(
            RundException.class, () -> new CniNetwork().attach("s", Path.of("/run/netns/no-such")));
    assertEquals(ErrorCode.FAILED_PRECONDITION, e.code());
    assertTrue(e.getMessage().contains("/run/netns/no-such"), e.getMessage());
    RundException none =
        assertThrows(RundException.class, () -> new CniNetwork().attach("s", Path.of("/dev/null")));
    assertTrue(none.getMessage().contains("cannot enter the network namespace /dev/null"));
    assertEquals(descriptors, TestNetwork.descriptors());
  }
}
