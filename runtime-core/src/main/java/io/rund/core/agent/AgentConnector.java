package io.rund.core.agent;

import io.rund.core.hypervisor.VirtualMachine;
import java.util.concurrent.CompletableFuture;

/** Finds the agent of a VM. */
public interface AgentConnector {
  /**
   * Starts to listen for the agent of {@code vm}, which must not have been started. Completes when
   * the agent has connected; never if it does not, so the caller also watches {@link
   * VirtualMachine#exited} and its own deadline.
   */
  CompletableFuture<GuestAgent> listen(VirtualMachine vm);
}
