package io.rund.network;

import io.rund.core.hypervisor.MacAddress;

/**
 * An interface of a namespace.
 *
 * @param index the kernel's number for it in its namespace
 * @param mtu in bytes
 */
record Link(int index, String name, MacAddress mac, int mtu) {}
