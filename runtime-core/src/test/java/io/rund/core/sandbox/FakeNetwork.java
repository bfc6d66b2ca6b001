package io.rund.core.sandbox;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.MacAddress;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.network.InterfaceConfig;
import io.rund.core.network.PodNetwork;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/** A network without a namespace: cards whose taps are eventfds. */
final class FakeNetwork implements PodNetwork {
  /** Interfaces that a plugin has made. */
  final List<String> interfaces = new CopyOnWriteArrayList<>();

  /** Where sandboxes were attached, and "closed" for each one that left. */
  final List<String> calls = new CopyOnWriteArrayList<>();

  final List<Fd> taps = new CopyOnWriteArrayList<>();

  /** Thrown by the next attach, if set. */
  volatile RundException failure;

  @Override
  public Attachment attach(String sandbox, Path namespace) {
    calls.add(sandbox + " " + namespace);
    if (failure != null) {
      throw failure;
    }
    List<Card> cards = interfaces.stream().map(this::card).toList();
    return new Attachment() {
      @Override
      public List<Card> cards() {
        return cards;
      }

      @Override
      public Optional<Fd> connections() {
        return Optional.empty();
      }

      @Override
      public void close() {
        calls.add("closed");
      }
    };
  }

  private Card card(String name) {
    Fd tap = Fd.eventFd();
    taps.add(tap);
    return new Card(
        new NicConfig(name, tap, new MacAddress(1), 1500),
        new InterfaceConfig(name, 1500, true, List.of(), List.of(), List.of()));
  }
}
