package io.rund.core.sandbox;

import io.rund.core.hypervisor.VmConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;

/**
 * What VMs have to have in common for one to be a clone of the other's template. The host's kernel
 * and CPU are the same anyway: a template does not outlive its engine.
 */
record TemplateShape(Image kernel, Image initramfs, int vcpus, long memoryBytes, int slots) {
  /** A file as it is now: another one in its place is another image. */
  record Image(Path path, Object key, long size, FileTime modified) {
    static Image of(Path path) {
      try {
        BasicFileAttributes file = Files.readAttributes(path, BasicFileAttributes.class);
        return new Image(path, file.fileKey(), file.size(), file.lastModifiedTime());
      } catch (IOException e) {
        return new Image(path, path, 0, FileTime.fromMillis(0)); // The boot says so.
      }
    }
  }

  static TemplateShape of(VmConfig config) {
    return new TemplateShape(
        Image.of(config.kernel()),
        Image.of(config.initramfs()),
        config.vcpus(),
        config.memoryBytes(),
        config.slots());
  }
}
