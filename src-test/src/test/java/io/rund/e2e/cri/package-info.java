/**
 * A client of Kubernetes' container runtime interface, for the tests: the calls that the kubelet
 * makes, and its streams by WebSocket. Speaks to whatever {@link Tunnel} leads to.
 */
package io.rund.e2e.cri;
