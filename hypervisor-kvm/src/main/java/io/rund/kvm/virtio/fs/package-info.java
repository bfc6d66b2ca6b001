/**
 * The virtio-fs device and the FUSE protocol on it. A request's chain is copied out by {@link
 * io.rund.kvm.virtio.fs.FsRequest} on the loop; its arguments are copied and checked by {@link
 * io.rund.kvm.virtio.fs.Arguments} on the thread that serves it; what passes both goes to {@link
 * io.rund.kvm.fs.SharedFileSystem}.
 */
package io.rund.kvm.virtio.fs;
