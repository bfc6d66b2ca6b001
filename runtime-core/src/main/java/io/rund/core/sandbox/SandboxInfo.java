package io.rund.core.sandbox;

/** One line of `rund list`. {@code createdAtNanos} is wall clock since the epoch. */
public record SandboxInfo(
    String namespace,
    String id,
    int pid,
    ProcessState.Status status,
    int vcpus,
    long memoryBytes,
    long createdAtNanos,
    String kernelRelease) {}
