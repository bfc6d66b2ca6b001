/**
 * The host's side of shared folders: nodes, handles and every operation on them, as the host's
 * kernel answers it. Knows nothing of FUSE or virtio.
 */
package io.rund.kvm.fs;
