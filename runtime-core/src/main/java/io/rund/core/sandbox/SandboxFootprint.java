package io.rund.core.sandbox;

import io.rund.core.hypervisor.AddressRange;
import java.util.List;

/**
 * Where to look for what a sandbox costs.
 *
 * @param memoryBytes guest RAM
 * @param guestTotalBytes MemTotal of the guest
 * @param guestAvailableBytes MemAvailable of the guest when its agent was ready and nothing else
 *     ran
 * @param ram where the engine maps the guest's RAM
 * @param anchors pids of its anchors
 */
public record SandboxFootprint(
    String namespace,
    String id,
    int vcpus,
    long memoryBytes,
    long guestTotalBytes,
    long guestAvailableBytes,
    List<AddressRange> ram,
    List<Integer> anchors) {}
