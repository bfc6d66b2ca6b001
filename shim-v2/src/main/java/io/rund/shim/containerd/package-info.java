/**
 * containerd's side of the engine: the Task service, and the events that go back. Built by the
 * engine's main; nobody else calls it.
 */
package io.rund.shim.containerd;
