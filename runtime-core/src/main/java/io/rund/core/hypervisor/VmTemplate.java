package io.rund.core.hypervisor;

import java.io.IOException;
import java.nio.channels.FileChannel;

/**
 * A VM at one moment of its life, of which others can be made in a fraction of the time of a boot.
 * Their memory is shared until they write to it. Safe for use by several threads.
 */
public interface VmTemplate extends AutoCloseable {
  /**
   * Makes a VM of the same configuration that goes on, from {@link VirtualMachine#start} on, where
   * the template stood: its agent has just connected, or is about to. Whoever listens for the agent
   * does so before. All VMs of one template know the same secrets until each is told its own.
   *
   * @throws io.rund.core.error.RundException if the host refuses, or the template is closed;
   *     nothing stays allocated
   */
  VirtualMachine clone(String id);

  /**
   * Writes it into an empty file, from which {@link Hypervisor#load} makes one like it. Kernel and
   * guest image must still be those that it has booted from.
   *
   * @throws io.rund.core.error.RundException if it cannot be written, or the template is closed
   */
  void save(FileChannel file) throws IOException;

  /** Releases the memory once its last clone has gone. Idempotent. */
  @Override
  void close();
}
