/**
 * The standard streams of processes: FIFOs on the host, vsock streams to the guest, and the pumps
 * between them.
 */
package io.rund.core.stdio;
