package io.rund.network;

import io.rund.core.hypervisor.MacAddress;

/**
 * An interface of a namespace.
 *
 * @param index the kernel's number for it in its namespace
 * @param mtu in bytes
 * @param arp whether addresses of others are asked for, as not on an ipvlan of layer 3
 */
record Link(int index, String name, MacAddress mac, int mtu, boolean arp) {}
