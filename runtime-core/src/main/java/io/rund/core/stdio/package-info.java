/**
 * The standard streams of processes: FIFOs and logs on the host, vsock streams to the guest, and
 * the pumps between them.
 */
package io.rund.core.stdio;
