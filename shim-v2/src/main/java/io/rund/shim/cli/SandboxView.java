package io.rund.shim.cli;

import io.rund.shim.wire.engine.Sandbox;
import java.time.Duration;
import java.time.Instant;

/** A sandbox as the command shows it; {@code createdAt} is ISO 8601. */
record SandboxView(
    String namespace,
    String id,
    int pid,
    String status,
    int vcpus,
    long memoryBytes,
    String createdAt,
    String kernel) {
  static SandboxView of(Sandbox sandbox) {
    return new SandboxView(
        sandbox.getNamespace(),
        sandbox.getId(),
        sandbox.getPid(),
        sandbox.getStatus(),
        sandbox.getVcpus(),
        sandbox.getMemoryBytes(),
        instant(sandbox.getCreatedAtNanos()),
        sandbox.getKernelRelease());
  }

  /** Wall clock nanoseconds since the epoch as ISO 8601, empty for 0. */
  static String instant(long nanos) {
    return nanos == 0 ? "" : Instant.ofEpochSecond(0, nanos).toString();
  }

  String memory() {
    return (memoryBytes >> 20) + " MiB";
  }

  /** How long it has been there, in the largest unit that is not 0. */
  String age(Instant now) {
    Duration age = Duration.between(Instant.parse(createdAt), now);
    if (age.toDays() > 0) {
      return age.toDays() + " d";
    }
    if (age.toHours() > 0) {
      return age.toHours() + " h";
    }
    return age.toMinutes() > 0 ? age.toMinutes() + " min" : Math.max(0, age.toSeconds()) + " s";
  }
}
