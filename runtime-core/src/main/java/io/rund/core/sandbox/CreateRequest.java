package io.rund.core.sandbox;

import java.nio.file.Path;
import java.util.List;

/**
 * A container to be made, as containerd asks for it.
 *
 * @param bundle directory with config.json
 * @param rootfs mounts that make up the root file system, in order; empty means root.path of the
 *     spec
 */
public record CreateRequest(
    String namespace, String id, Path bundle, List<RootfsMount> rootfs, StdioPaths stdio) {

  /** One mount of the root file system, with mount(8) options. */
  public record RootfsMount(String type, String source, String target, List<String> options) {
    boolean isOverlay() {
      return type.equals("overlay");
    }

    boolean isBind() {
      return type.equals("bind") || options.contains("bind") || isRecursive();
    }

    boolean isRecursive() {
      return type.equals("rbind") || options.contains("rbind");
    }

    boolean isReadOnly() {
      return options.contains("ro");
    }
  }

  /**
   * FIFOs on the host, or for output file:///path or binary:///program; an empty path is no stream.
   */
  public record StdioPaths(boolean terminal, String stdin, String stdout, String stderr) {}
}
