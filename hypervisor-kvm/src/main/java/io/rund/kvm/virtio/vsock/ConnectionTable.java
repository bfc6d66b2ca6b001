package io.rund.kvm.virtio.vsock;

import java.util.Arrays;

/** Connections by their pair of ports: a hash table whose look-up allocates nothing. */
final class ConnectionTable {
  private final VsockConnection[] buckets = new VsockConnection[64];

  private int bucket(int guestPort, int hostPort) {
    int hash = (guestPort * 31 + hostPort) * 0x9e3779b9;
    return hash >>> 26;
  }

  /** The connection with these ports, or null. */
  VsockConnection find(int guestPort, int hostPort) {
    VsockConnection c = buckets[bucket(guestPort, hostPort)];
    while (c != null && (c.guestPort != guestPort || c.hostPort != hostPort)) {
      c = c.next;
    }
    return c;
  }

  void add(VsockConnection connection) {
    int bucket = bucket(connection.guestPort, connection.hostPort);
    connection.next = buckets[bucket];
    buckets[bucket] = connection;
  }

  void remove(VsockConnection connection) {
    int bucket = bucket(connection.guestPort, connection.hostPort);
    if (buckets[bucket] == connection) {
      buckets[bucket] = connection.next;
    } else {
      VsockConnection before = buckets[bucket];
      while (before != null && before.next != connection) {
        before = before.next;
      }
      if (before != null) {
        before.next = connection.next;
      }
    }
    connection.next = null;
  }

  void clear() {
    Arrays.fill(buckets, null);
  }
}
