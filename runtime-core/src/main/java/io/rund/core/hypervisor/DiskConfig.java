package io.rund.core.hypervisor;

import java.nio.file.Path;

/**
 * A disk for the guest.
 *
 * @param path a host block device or a regular file
 * @param readOnly whether the guest may not write; the host enforces it
 */
public record DiskConfig(Path path, boolean readOnly) {}
