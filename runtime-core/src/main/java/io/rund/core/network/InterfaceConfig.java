package io.rund.core.network;

import io.rund.core.hypervisor.MacAddress;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * How an interface is set up, as it was found in the pod's namespace and as the guest shall have
 * it. Addresses make no routes of their own: all routes are named.
 *
 * @param name such as eth0
 * @param mtu in bytes
 * @param arp whether it asks for the hardware addresses of others
 */
public record InterfaceConfig(
    String name,
    int mtu,
    boolean arp,
    List<Address> addresses,
    List<Route> routes,
    List<Neighbour> neighbours) {

  /**
   * An address of the interface.
   *
   * @param prefixLength of the network that the address is in, in bits
   * @param broadcast of that network, if it has one
   * @param scope RT_SCOPE_* of the kernel
   */
  public record Address(
      InetAddress address, int prefixLength, Optional<InetAddress> broadcast, int scope) {}

  /**
   * A way to others.
   *
   * @param destination its first {@code prefixLength} bits count; with 0 of them it is the default
   *     route of its family
   * @param gateway absent for what is on the link
   * @param source preferred for what goes there
   * @param scope RT_SCOPE_* of the kernel
   * @param metric the lower the better; 0 is the kernel's default
   * @param onLink whether the gateway is taken to be on the link whatever the addresses say
   * @param mtu in bytes, 0 for that of the interface
   */
  public record Route(
      InetAddress destination,
      int prefixLength,
      Optional<InetAddress> gateway,
      Optional<InetAddress> source,
      int scope,
      int metric,
      boolean onLink,
      int mtu) {}

  /** An entry that never has to be asked for. */
  public record Neighbour(InetAddress address, MacAddress mac) {}
}
