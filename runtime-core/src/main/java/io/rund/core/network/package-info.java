/** The network of a pod: what the sandbox manager asks for, and ansm-network gives. */
package io.rund.core.network;
