/**
 * The engine's main program: wires everything together, serves the socket that containerd, the
 * launcher and the rund command share, and leaves when nobody needs it.
 */
package io.rund.shim;
