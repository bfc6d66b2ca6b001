package io.rund.core.network;

import io.rund.core.hypervisor.NicConfig;
import io.rund.core.linux.Fd;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Joins a VM to the network of its pod. Any thread; blocks for some system calls. */
public interface PodNetwork {
  /**
   * Makes a card for each interface that somebody, such as a CNI plugin, has set up in a network
   * namespace. A namespace with only a loopback interface gives no card.
   *
   * @param sandbox its id, for messages
   * @param namespace such as /proc/PID/ns/net
   * @throws io.rund.core.error.RundException naming the interface and the step that failed; nothing
   *     is left then
   */
  Attachment attach(String sandbox, Path namespace);

  /** A card and the interface that the guest makes of it. */
  record Card(NicConfig nic, InterfaceConfig config) {}

  /** What {@link #attach} has made. */
  interface Attachment extends AutoCloseable {
    /** In the order of the namespace's interfaces. Their taps are the caller's. */
    List<Card> cards();

    /**
     * A listening, non-blocking socket to which every TCP connection goes that a program of the
     * host makes inside the namespace, whatever its port; absent where the host's kernel cannot do
     * that, or without cards. Stays the attachment's.
     */
    Optional<Fd> connections();

    /**
     * Leaves the namespace as it was found; what is gone already is no error. Comes after the taps
     * have been closed. Idempotent.
     */
    @Override
    void close();
  }
}
