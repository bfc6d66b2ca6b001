package io.rund.kvm.virtio.vsock;

/** A first-in-first-out list of pairs of ports, of fixed size. */
final class PortRing {
  private final long[] ports;
  private int added;
  private int removed;

  /** {@code capacity} is a power of two. */
  PortRing(int capacity) {
    ports = new long[capacity];
  }

  int size() {
    return added - removed;
  }

  boolean isEmpty() {
    return added == removed;
  }

  /**
   * Appends a pair.
   *
   * @throws IllegalStateException if the ring is full
   */
  void add(int guestPort, int hostPort) {
    if (size() == ports.length) {
      throw new IllegalStateException("ring of ports is full");
    }
    ports[added++ & (ports.length - 1)] =
        ((long) guestPort << 32) | Integer.toUnsignedLong(hostPort);
  }

  int guestPort() {
    return (int) (ports[removed & (ports.length - 1)] >>> 32);
  }

  int hostPort() {
    return (int) ports[removed & (ports.length - 1)];
  }

  void remove() {
    removed++;
  }

  void clear() {
    removed = added;
  }
}
