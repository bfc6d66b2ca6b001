package io.rund.core.sandbox;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.rund.core.hypervisor.VmConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.zip.CRC32;

/**
 * What VMs have to have in common for one to be a clone of the other's template, as far as an
 * engine can change it. The host's kernel and CPU are the same as long as it lives; a template on
 * disk is compared with them when it is read.
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

  /** Whether kernel and guest image are still those. */
  boolean isCurrent() {
    return Image.of(kernel.path).equals(kernel) && Image.of(initramfs.path).equals(initramfs);
  }

  /** Says what a person wants to know; what else tells shapes of one host apart is a number. */
  String fileName() {
    CRC32 rest = new CRC32();
    String paths = "%s\0%s\0%d\0%d".formatted(kernel.path, initramfs.path, memoryBytes, slots);
    rest.update(paths.getBytes(UTF_8));
    return "%d-vcpus-%d-MiB-%08x".formatted(vcpus, memoryBytes >> 20, rest.getValue());
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
