package io.rund.agent;

import com.google.protobuf.ByteString;
import io.rund.agent.wire.ConfigureNetworkRequest;
import io.rund.agent.wire.Interface;
import io.rund.agent.wire.InterfaceAddress;
import io.rund.agent.wire.Neighbour;
import io.rund.agent.wire.Route;
import io.rund.core.agent.GuestAgent.GuestInterface;
import io.rund.core.network.InterfaceConfig;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/** Interfaces as agent.proto has them. */
final class NetworkWire {
  private NetworkWire() {}

  static ConfigureNetworkRequest request(List<GuestInterface> interfaces) {
    ConfigureNetworkRequest.Builder request = ConfigureNetworkRequest.newBuilder();
    for (GuestInterface each : interfaces) {
      InterfaceConfig config = each.config();
      Interface.Builder wire =
          Interface.newBuilder()
              .setSlot(each.slot())
              .setName(config.name())
              .setMtu(config.mtu())
              .setNoArp(!config.arp());
      config.addresses().forEach(address -> wire.addAddresses(address(address)));
      config.routes().forEach(route -> wire.addRoutes(route(route)));
      config
          .neighbours()
          .forEach(
              neighbour ->
                  wire.addNeighbours(
                      Neighbour.newBuilder()
                          .setAddress(bytes(neighbour.address()))
                          .setMac(ByteString.copyFrom(neighbour.mac().bytes()))));
      request.addInterfaces(wire);
    }
    return request.build();
  }

  private static InterfaceAddress address(InterfaceConfig.Address address) {
    return InterfaceAddress.newBuilder()
        .setAddress(bytes(address.address()))
        .setPrefixLength(address.prefixLength())
        .setBroadcast(bytes(address.broadcast()))
        .setScope(address.scope())
        .build();
  }

  private static Route route(InterfaceConfig.Route route) {
    return Route.newBuilder()
        .setDestination(bytes(route.destination()))
        .setPrefixLength(route.prefixLength())
        .setGateway(bytes(route.gateway()))
        .setSource(bytes(route.source()))
        .setScope(route.scope())
        .setMetric(route.metric())
        .setOnLink(route.onLink())
        .setMtu(route.mtu())
        .build();
  }

  private static ByteString bytes(InetAddress address) {
    return ByteString.copyFrom(address.getAddress());
  }

  private static ByteString bytes(Optional<InetAddress> address) {
    return address.map(NetworkWire::bytes).orElse(ByteString.EMPTY);
  }
}
