package io.rund.core.sandbox;

import io.rund.core.agent.GuestAgent;
import io.rund.core.agent.GuestAgent.GuestInterface;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.linux.Fd;
import io.rund.core.network.PodNetwork;
import io.rund.core.network.PodNetwork.Attachment;
import io.rund.core.network.PodNetwork.Card;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;

/**
 * A sandbox's part in the network of its pod. It is attached when the first process starts: by then
 * CNI plugins have run, whether the client calls them before Create (CRI) or between Create and
 * Start (ctr). Safe for use by several threads.
 */
final class SandboxNetwork implements AutoCloseable {
  private final PodNetwork network;
  private final String sandbox;
  private final VirtualMachine vm;
  private final GuestAgent agent;
  private final IntSupplier vsockPorts;
  private final List<Integer> slots = new ArrayList<>();
  private final Map<String, String> sysctls = new LinkedHashMap<>();
  private Attachment attachment;
  private PortForward forward;
  private RundException failure;
  private boolean closed;

  /**
   * Attaches nothing yet.
   *
   * @param vsockPorts ports of the host that nothing of this sandbox has used
   */
  SandboxNetwork(
      PodNetwork network,
      String sandbox,
      VirtualMachine vm,
      GuestAgent agent,
      IntSupplier vsockPorts) {
    this.vsockPorts = vsockPorts;
    this.network = network;
    this.sandbox = sandbox;
    this.vm = vm;
    this.agent = agent;
  }

  /**
   * Gives the guest what is in the namespace, the first time it is called; what failed then, fails
   * again.
   *
   * @param namespace such as /proc/PID/ns/net
   */
  synchronized void attach(Path namespace, Timeline timeline) {
    if (failure != null) {
      throw new RundException(failure.code(), failure.getMessage(), failure);
    }
    if (attachment != null) {
      return;
    }
    if (closed) {
      throw RundException.precondition("sandbox " + sandbox + " has ended");
    }
    long began = System.nanoTime();
    try {
      attachment = network.attach(sandbox, namespace);
      plug(attachment.cards());
      if (!sysctls.isEmpty()) {
        agent.setSysctls(sysctls);
      }
      attachment.connections().ifPresent(this::forward);
    } catch (RundException e) {
      failure = e;
      throw e;
    } catch (RuntimeException e) {
      failure =
          RundException.internal("cannot attach sandbox " + sandbox + " to its network: " + e, e);
      throw failure;
    }
    timeline.phase("attach network", began);
  }

  /**
   * Writes kernel parameters of the network, as soon as the guest has it: they may be those of an
   * interface, and forbid what it was set up with.
   */
  synchronized void setSysctls(Map<String, String> values) {
    if (attachment == null) {
      sysctls.putAll(values);
    } else if (!values.isEmpty()) {
      agent.setSysctls(values);
    }
  }

  /** Where the cards are. */
  synchronized List<Integer> slots() {
    return List.copyOf(slots);
  }

  private void forward(Fd listener) {
    forward = new PortForward(sandbox, listener, vm, agent, vsockPorts);
  }

  private void plug(List<Card> cards) {
    List<GuestInterface> interfaces = new ArrayList<>();
    for (int i = 0; i < cards.size(); i++) {
      Card card = cards.get(i);
      try {
        int slot = vm.plug(card.nic());
        slots.add(slot);
        interfaces.add(new GuestInterface(slot, card.config()));
      } catch (RuntimeException e) {
        // The VM has the others.
        cards.subList(i + 1, cards.size()).forEach(each -> each.nic().tap().close());
        throw e instanceof RundException known
            ? failure("a network card for " + card.config().name(), known)
            : e;
      }
    }
    if (interfaces.isEmpty()) {
      return;
    }
    try {
      agent.configureNetwork(interfaces);
    } catch (RundException e) {
      throw failure("the guest", e);
    }
  }

  private RundException failure(String what, RundException e) {
    return new RundException(
        e.code(),
        "cannot attach sandbox %s to its network: %s: %s".formatted(sandbox, what, e.getMessage()),
        e);
  }

  /** Leaves the namespace as it was. Comes after the VM has been closed. Idempotent. */
  @Override
  public synchronized void close() {
    closed = true;
    if (forward != null) {
      forward.close();
    }
    if (attachment != null) {
      attachment.close();
    }
  }
}
