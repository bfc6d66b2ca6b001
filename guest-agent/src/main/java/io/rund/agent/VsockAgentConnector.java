package io.rund.agent;

import io.rund.core.agent.AgentConnector;
import io.rund.core.agent.GuestAgent;
import io.rund.core.hypervisor.VirtualMachine;
import java.util.concurrent.CompletableFuture;

/** Awaits the agent's one connection to vsock port 1024 of the host. */
public final class VsockAgentConnector implements AgentConnector {
  /** The port of agent.proto. */
  private static final int AGENT_PORT = 1024;

  private final String engineVersion;

  public VsockAgentConnector(String engineVersion) {
    this.engineVersion = engineVersion;
  }

  @Override
  public CompletableFuture<GuestAgent> listen(VirtualMachine vm) {
    CompletableFuture<GuestAgent> connected = new CompletableFuture<>();
    // One connection is all there ever is; the listener goes with the VM.
    var _ =
        vm.listen(
            AGENT_PORT,
            1,
            stream -> {
              AgentConnection connection = new AgentConnection(stream);
              // Off the loop: what waits for the agent goes on to block.
              connected.completeAsync(
                  () -> new TtrpcGuestAgent(connection, engineVersion), Thread::startVirtualThread);
            });
    return connected;
  }
}
