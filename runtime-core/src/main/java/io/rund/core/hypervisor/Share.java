package io.rund.core.hypervisor;

import io.rund.core.linux.Fd;

/**
 * A directory or a regular file of the host that a guest sees, under a name of its own, in the root
 * of the sandbox's one virtio-fs file system (tag {@value #TAG}).
 *
 * @param name one path component: letters, digits, '.', '_' and '-', no '.' in front
 * @param root an O_PATH descriptor of the directory or file; what is outside of it stays out of
 *     reach
 * @param readOnly whether the guest may not change anything; the host enforces it
 */
public record Share(String name, Fd root, boolean readOnly, CachePolicy cache) {
  /** Tag of the file system (virtio 1.2, 5.11.4): what the guest mounts. */
  public static final String TAG = "rund";
}
