package io.rund.core.hypervisor;

/** Addresses of this process from {@code start} to before {@code end}. */
public record AddressRange(long start, long end) {}
