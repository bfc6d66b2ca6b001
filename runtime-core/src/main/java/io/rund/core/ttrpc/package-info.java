/**
 * ttrpc, containerd's small RPC protocol: frames, the client, the server. Spoken to containerd and
 * to the agent.
 */
package io.rund.core.ttrpc;
