package io.rund.kvm.virtio.vsock;

/**
 * A connection that the guest has made and over which nothing was said yet.
 *
 * @param guestBufferSize bytes that the guest takes, as it said
 */
public record ConnectionState(int guestPort, int hostPort, int guestBufferSize) {}
