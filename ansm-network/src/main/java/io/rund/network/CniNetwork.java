package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Linux;
import io.rund.core.network.InterfaceConfig;
import io.rund.core.network.PodNetwork;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The network that CNI plugins have set up in the pod's namespace. Each of their interfaces is
 * joined to a tap, both ways, and keeps its addresses: to the host and to the plugins nothing has
 * changed, but the packets are the guest's.
 */
public final class CniNetwork implements PodNetwork {
  private static final Logger log = LoggerFactory.getLogger(CniNetwork.class);

  @Override
  public Attachment attach(String sandbox, Path path) {
    Namespace namespace = Namespace.open(path);
    if (namespace.isHosts()) {
      namespace.close();
      throw RundException.precondition(
          "cannot attach sandbox %s to its network: %s is the host's own network namespace; give it one of its own"
              .formatted(sandbox, path));
    }
    CniAttachment attachment = new CniAttachment(sandbox, namespace);
    try {
      namespace.call(
          () -> {
            attachment.join();
            return null;
          });
      return attachment;
    } catch (RuntimeException e) {
      attachment.cards().forEach(card -> card.nic().tap().close());
      attachment.close();
      throw e;
    }
  }

  /** One namespace: what was made in it. */
  private static final class CniAttachment implements Attachment {
    /** A redirection from a plugin's interface; the one back goes with its tap. */
    private record Joined(Link link, boolean madeQdisc) {}

    private final String sandbox;
    private final Namespace namespace;
    private final List<Card> cards = new ArrayList<>();
    private final List<Joined> joined = new ArrayList<>();
    private Optional<Steering> steering = Optional.empty();
    private boolean closed;

    CniAttachment(String sandbox, Namespace namespace) {
      this.sandbox = sandbox;
      this.namespace = namespace;
    }

    @Override
    public List<Card> cards() {
      return List.copyOf(cards);
    }

    @Override
    public Optional<Fd> connections() {
      return steering.map(Steering::listener);
    }

    /** On a thread in the namespace. */
    void join() {
      try (Netlink netlink = Netlink.open()) {
        NamespaceReader reader = new NamespaceReader(netlink);
        List<Link> links = links(reader);
        assertFree(links, List.of());
        List<Taps.Tap> taps = new ArrayList<>();
        for (Link link : links) {
          taps.add(addCard(link, reader));
        }
        // Of two that come at once, one at least sees the other's taps, and has redirected nothing.
        assertFree(links(reader), taps);
        Redirect redirect = new Redirect(netlink);
        for (int i = 0; i < links.size(); i++) {
          join(links.get(i), taps.get(i), redirect);
        }
        if (!links.isEmpty()) {
          steer();
        }
      } catch (LastErrorException e) {
        throw failure("the namespace", "open a netlink socket", e);
      }
    }

    private List<Link> links(NamespaceReader reader) {
      return step("the namespace", "list its interfaces", reader::links);
    }

    /** A tap is there for as long as its sandbox: its packets would go to this one. */
    private void assertFree(List<Link> links, List<Taps.Tap> own) {
      List<Integer> indexes = own.stream().map(Taps.Tap::index).toList();
      links.stream()
          .filter(link -> Taps.isOurs(link.name()) && !indexes.contains(link.index()))
          .map(Link::name)
          .findFirst()
          .ifPresent(
              tap -> {
                throw RundException.precondition(
                    "cannot attach sandbox %s to its network: the namespace is that of another sandbox, whose tap is %s; give each one a namespace of its own"
                        .formatted(sandbox, tap));
              });
    }

    private Taps.Tap addCard(Link link, NamespaceReader reader) {
      InterfaceConfig config =
          step(link.name(), "read its configuration", () -> reader.configuration(link));
      Taps.Tap tap = step(link.name(), "make a tap", () -> Taps.make(link.mtu()));
      cards.add(new Card(new NicConfig(link.name(), tap.fd(), link.mac(), link.mtu()), config));
      return tap;
    }

    private void join(Link link, Taps.Tap tap, Redirect redirect) {
      boolean made =
          step(
              link.name(),
              "redirect its packets to the tap",
              () -> redirect.add(link.index(), tap.index()));
      joined.add(new Joined(link, made));
      var _ =
          step(
              link.name(),
              "redirect the tap's packets to it",
              () -> redirect.add(tap.index(), link.index()));
    }

    /** A pod can do without. */
    private void steer() {
      try {
        steering = Optional.of(Steering.begin(namespace.descriptor()));
      } catch (LastErrorException e) {
        log.warn(
            "sandbox {}: no port-forward: its connections cannot be steered (BPF sk_lookup): {}",
            sandbox,
            e.getMessage());
      }
    }

    private <T> T step(String subject, String what, Supplier<T> task) {
      try {
        return task.get();
      } catch (LastErrorException e) {
        throw failure(subject, what, e);
      }
    }

    private RundException failure(String subject, String what, LastErrorException e) {
      return new RundException(
          ErrorCode.FAILED_PRECONDITION,
          "cannot attach sandbox %s to its network: %s: cannot %s: %s%s"
              .formatted(sandbox, subject, what, e.getMessage(), advice(what, e.getErrorCode())),
          e);
    }

    private static String advice(String what, int errno) {
      if (errno == Linux.ENOENT && what.startsWith("redirect")) {
        return "; load the kernel modules sch_ingress, act_mirred, and cls_matchall or cls_u32";
      }
      return errno == Linux.ENOENT && what.equals("make a tap")
          ? "; load the kernel module tun"
          : "";
    }

    @Override
    public synchronized void close() {
      if (closed) {
        return;
      }
      closed = true;
      steering.ifPresent(Steering::close);
      try (namespace) {
        if (!joined.isEmpty()) {
          namespace.call(
              () -> {
                leave();
                return null;
              });
        }
      } catch (RuntimeException e) {
        log.warn("sandbox {}: leaving its network: {}", sandbox, e.getMessage());
      }
    }

    private void leave() {
      try (Netlink netlink = Netlink.open()) {
        for (Joined each : joined) {
          leave(each, new Redirect(netlink));
        }
      }
    }

    private void leave(Joined each, Redirect redirect) {
      try {
        redirect.remove(each.link().index(), each.madeQdisc());
      } catch (LastErrorException e) {
        // ENODEV: the plugin has taken its interface away already.
        if (e.getErrorCode() != Linux.ENODEV && e.getErrorCode() != Linux.ENOENT) {
          log.warn(
              "sandbox {}: cannot remove the redirection from {}: {}",
              sandbox,
              each.link().name(),
              e.getMessage());
        }
      }
    }
  }
}
