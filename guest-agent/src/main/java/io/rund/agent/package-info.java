/** The host's end of the agent protocol (agent.proto): ttrpc over vsock, and checked answers. */
package io.rund.agent;
