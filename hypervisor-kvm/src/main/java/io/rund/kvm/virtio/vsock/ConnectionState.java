package io.rund.kvm.virtio.vsock;

import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;

/**
 * A connection that the guest has made and over which nothing was said yet.
 *
 * @param guestBufferSize bytes that the guest takes, as it said
 */
public record ConnectionState(int guestPort, int hostPort, int guestBufferSize) {
  /** Writes what {@link #read} reads. */
  public void write(SnapshotWriter out) {
    out.int32(guestPort);
    out.int32(hostPort);
    out.int32(guestBufferSize);
  }

  /** All three are what a guest may say at any time. */
  public static ConnectionState read(SnapshotReader in) {
    String what = "the connection of the agent";
    return new ConnectionState(in.int32(what), in.int32(what), in.int32(what));
  }
}
