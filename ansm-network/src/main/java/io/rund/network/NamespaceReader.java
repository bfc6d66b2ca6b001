package io.rund.network;

import io.rund.core.hypervisor.MacAddress;
import io.rund.core.network.InterfaceConfig;
import io.rund.core.network.InterfaceConfig.Address;
import io.rund.core.network.InterfaceConfig.Neighbour;
import io.rund.core.network.InterfaceConfig.Route;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads how somebody has set up the interfaces of a namespace, as far as it concerns a guest that
 * takes their place. Routes that the kernel made for an address are taken too, and addresses make
 * none in the guest: plugins such as ptp delete the one for their network on purpose.
 */
final class NamespaceReader {
  private static final Logger log = LoggerFactory.getLogger(NamespaceReader.class);

  // include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h, if_arp.h, if.h
  private static final int RTM_GETLINK = 18;
  private static final int RTM_GETADDR = 22;
  private static final int RTM_GETROUTE = 26;
  private static final int RTM_GETNEIGH = 30;
  private static final int IFLA_ADDRESS = 1;
  private static final int IFLA_IFNAME = 3;
  private static final int IFLA_MTU = 4;
  private static final int IFLA_MASTER = 10;
  private static final int IFA_ADDRESS = 1;
  private static final int IFA_LOCAL = 2;
  private static final int IFA_BROADCAST = 4;
  private static final int RTA_DST = 1;
  private static final int RTA_OIF = 4;
  private static final int RTA_GATEWAY = 5;
  private static final int RTA_PRIORITY = 6;
  private static final int RTA_PREFSRC = 7;
  private static final int RTA_METRICS = 8;
  private static final int RTA_TABLE = 15;
  private static final int RTA_VIA = 18;
  private static final int RTA_ENCAP = 22;
  private static final int RTAX_MTU = 2;
  private static final int NDA_DST = 1;
  private static final int NDA_LLADDR = 2;
  private static final int IFF_UP = 1;
  private static final int IFF_NOARP = 0x80;
  private static final int ARPHRD_ETHER = 1;
  private static final int AF_INET = 2;
  private static final int AF_INET6 = 10;
  private static final int RT_TABLE_MAIN = 254;
  private static final int RTN_UNICAST = 1;
  private static final int RTPROT_RA = 9;
  private static final int RTNH_F_ONLINK = 4;
  private static final int RTM_F_CLONED = 0x200;
  private static final int NUD_PERMANENT = 0x80;

  /** Sizes of the fixed parts: struct ifinfomsg, ifaddrmsg, rtmsg, ndmsg. */
  private static final int IFINFOMSG = 16;

  private static final int IFADDRMSG = 8;
  private static final int RTMSG = 12;
  private static final int NDMSG = 12;

  private final Netlink netlink;

  NamespaceReader(Netlink netlink) {
    this.netlink = netlink;
  }

  private static Message dump(int type, int family, int fixedPart) {
    return new Message(type, Netlink.REQUEST | Netlink.DUMP).u8(family).zero(fixedPart - 1);
  }

  /**
   * Interfaces that are up and have an Ethernet address, and are not part of another one. Those
   * that the kernel puts into each namespace, such as gretap0, are down.
   */
  List<Link> links() {
    List<Link> links = new ArrayList<>();
    netlink.list(
        dump(RTM_GETLINK, 0, IFINFOMSG),
        message -> {
          Attributes attributes = attributes(message, IFINFOMSG);
          byte[] mac = attributes.bytes(IFLA_ADDRESS);
          boolean usable =
              message.getShort(2) == ARPHRD_ETHER
                  && (message.getInt(8) & IFF_UP) != 0
                  && mac.length == MacAddress.SIZE
                  && !attributes.has(IFLA_MASTER);
          if (usable) {
            links.add(
                new Link(
                    message.getInt(4),
                    attributes.text(IFLA_IFNAME),
                    MacAddress.of(mac),
                    attributes.number(IFLA_MTU, 1500),
                    (message.getInt(8) & IFF_NOARP) == 0));
          }
        });
    return links;
  }

  InterfaceConfig configuration(Link link) {
    return new InterfaceConfig(
        link.name(), link.mtu(), link.arp(), addresses(link), routes(link), neighbours(link));
  }

  private List<Address> addresses(Link link) {
    List<Address> addresses = new ArrayList<>();
    netlink.list(
        dump(RTM_GETADDR, 0, IFADDRMSG),
        message -> {
          Attributes attributes = attributes(message, IFADDRMSG);
          if (message.getInt(4) != link.index()) {
            return;
          }
          attributes
              .address(IFA_LOCAL)
              .or(() -> attributes.address(IFA_ADDRESS))
              .filter(address -> !isLinkLocal6(address))
              .ifPresent(
                  address ->
                      addresses.add(
                          new Address(
                              address,
                              unsigned(message.get(1)),
                              attributes.address(IFA_BROADCAST),
                              unsigned(message.get(3)))));
        });
    return addresses;
  }

  private List<Route> routes(Link link) {
    List<Route> routes = new ArrayList<>();
    for (int family : new int[] {AF_INET, AF_INET6}) {
      netlink.list(
          dump(RTM_GETROUTE, family, RTMSG),
          message -> {
            Attributes attributes = attributes(message, RTMSG);
            InetAddress destination =
                attributes.address(RTA_DST).orElseGet(() -> unspecified(family));
            boolean usable =
                attributes.number(RTA_OIF, 0) == link.index()
                    && attributes.number(RTA_TABLE, unsigned(message.get(4))) == RT_TABLE_MAIN
                    && message.get(7) == RTN_UNICAST
                    && message.get(5) != RTPROT_RA
                    && (message.getInt(8) & RTM_F_CLONED) == 0
                    && !isLinkLocal6(destination)
                    && !destination.isMulticastAddress();
            if (usable && isPlain(attributes)) {
              routes.add(route(message, attributes, destination));
            } else if (usable) {
              log.warn(
                  "the route to {}/{} of {} is left out: its gateway is of another family, or it is a tunnel's",
                  destination.getHostAddress(),
                  unsigned(message.get(1)),
                  link.name());
            }
          });
    }
    return routes;
  }

  /** Without its gateway it would be a route to what is on the link. */
  private static boolean isPlain(Attributes attributes) {
    return !attributes.has(RTA_VIA) && !attributes.has(RTA_ENCAP);
  }

  private static Route route(ByteBuffer message, Attributes attributes, InetAddress destination) {
    return new Route(
        destination,
        unsigned(message.get(1)),
        attributes.address(RTA_GATEWAY),
        attributes.address(RTA_PREFSRC),
        unsigned(message.get(6)),
        attributes.number(RTA_PRIORITY, 0),
        (message.getInt(8) & RTNH_F_ONLINK) != 0,
        attributes.nested(RTA_METRICS).number(RTAX_MTU, 0));
  }

  private List<Neighbour> neighbours(Link link) {
    List<Neighbour> neighbours = new ArrayList<>();
    netlink.list(
        dump(RTM_GETNEIGH, 0, NDMSG),
        message -> {
          Attributes attributes = attributes(message, NDMSG);
          byte[] mac = attributes.bytes(NDA_LLADDR);
          int family = message.get(0);
          if (message.getInt(4) == link.index()
              && (family == AF_INET || family == AF_INET6)
              && (message.getShort(8) & NUD_PERMANENT) != 0
              && mac.length == MacAddress.SIZE) {
            attributes
                .address(NDA_DST)
                .ifPresent(address -> neighbours.add(new Neighbour(address, MacAddress.of(mac))));
          }
        });
    return neighbours;
  }

  private static Attributes attributes(ByteBuffer message, int fixedPart) {
    return Attributes.read(message.duplicate().order(message.order()).position(fixedPart));
  }

  private static int unsigned(byte value) {
    return Byte.toUnsignedInt(value);
  }

  private static boolean isLinkLocal6(InetAddress address) {
    return address.getAddress().length == 16 && address.isLinkLocalAddress();
  }

  private static InetAddress unspecified(int family) {
    try {
      return InetAddress.getByAddress(new byte[family == AF_INET ? 4 : 16]);
    } catch (UnknownHostException e) {
      throw new AssertionError(e);
    }
  }
}
