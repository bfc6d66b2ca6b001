package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.linux.Libc;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Overlays and binds as containerd's snapshotters hand them over. Needs root. */
class RootFsTest {
  @TempDir Path temporary;
  private Path bundle;
  private Path snapshots;
  private OciSpec spec;

  @BeforeEach
  void makeBundle() throws IOException {
    bundle = Files.createDirectory(temporary.resolve("bundle"));
    snapshots = Files.createDirectory(temporary.resolve("snapshots"));
    // An overlay cannot be the upper directory of another, which /tmp may be on.
    Libc.mount("tmpfs", snapshots.toString(), "tmpfs", 0, null);
    Files.writeString(
        bundle.resolve("config.json"),
        "{\"process\": {\"args\": [\"true\"]}, \"root\": {\"path\": \"image\"}}");
    spec = OciSpec.read(bundle);
  }

  @AfterEach
  void unmount() {
    Libc.umount2(snapshots.toString(), 2);
  }

  private RootFs open(RootfsMount... mounts) {
    return RootFs.open(
        new CreateRequest(
            "test", "web", bundle, List.of(mounts), new StdioPaths(false, "", "", "")),
        spec);
  }

  private static Path root(RootFs rootFs) {
    return Path.of("/proc/self/fd/" + ((RootFs.Directory) rootFs).mount().fd().number());
  }

  private Path layer(String name) throws IOException {
    Path layer = Files.createDirectories(snapshots.resolve(name).resolve("fs"));
    Files.writeString(layer.resolve("from-" + name), name);
    return layer;
  }

  private RootfsMount overlay(List<Path> lower, String... more) throws IOException {
    List<String> options = new ArrayList<>(List.of(more));
    options.add("upperdir=" + Files.createDirectory(snapshots.resolve("upper")));
    options.add("workdir=" + Files.createDirectory(snapshots.resolve("work")));
    options.add("lowerdir=" + String.join(":", lower.stream().map(Path::toString).toList()));
    return new RootfsMount("overlay", "overlay", "", options);
  }

  private void assertNothingMounted() throws IOException {
    assertFalse(Files.readString(Path.of("/proc/self/mountinfo")).contains(bundle.toString()));
  }

  @Test
  void anOverlayIsMountedNowhereAndGoneWhenClosed() throws IOException {
    Path top = layer("top");
    RootFs rootFs = open(overlay(List.of(layer("one"), top)));
    try (rootFs) {
      assertNothingMounted();
      assertEquals("one", Files.readString(root(rootFs).resolve("from-one")));
      Files.writeString(root(rootFs).resolve("new"), "written");
      assertEquals("written", Files.readString(snapshots.resolve("upper/new")));
      assertFalse(Files.exists(top.resolve("new")));
    }
    // EBUSY if the overlay still had it
    Libc.umount2(snapshots.toString(), 0);
    Libc.mount("tmpfs", snapshots.toString(), "tmpfs", 0, null);
  }

  @Test
  void moreLayersThanFitIntoThePageOfOptions() throws IOException {
    List<Path> layers = new ArrayList<>();
    for (int i = 0; i < 120; i++) {
      layers.add(layer("layer-" + i));
    }
    assertTrue(layers.toString().length() > 4096);
    try (RootFs rootFs = open(overlay(layers))) {
      assertEquals("layer-0", Files.readString(root(rootFs).resolve("from-layer-0")));
      assertEquals("layer-119", Files.readString(root(rootFs).resolve("from-layer-119")));
    }
    assertNothingMounted();
  }

  @Test
  void layersAreMeasuredInBytes() throws IOException {
    List<Path> layers = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      layers.add(layer("\u20ac".repeat(80) + i));
    }
    RundException e = assertThrows(RundException.class, () -> open(overlay(layers)));
    assertTrue(e.getMessage().contains("fewer layers"), e.getMessage());
    assertNothingMounted();
  }

  @Test
  void layersThatDoNotFitAtAllAreCounted() throws IOException {
    List<Path> layers = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      layers.add(layer("x".repeat(120) + i));
    }
    RootfsMount overlay = overlay(layers);
    RundException e = assertThrows(RundException.class, () -> open(overlay));
    assertTrue(e.getMessage().contains("has 40 layers"), e.getMessage());
    assertTrue(e.getMessage().contains("fewer layers"), e.getMessage());
  }

  @Test
  void aReadOnlyViewIsReadOnly() throws IOException {
    Path image = layer("image");
    try (RootFs rootFs =
        open(new RootfsMount("bind", image.toString(), "", List.of("ro", "rbind")))) {
      FileSystemException e =
          assertThrows(
              FileSystemException.class, () -> Files.createFile(root(rootFs).resolve("new")));
      assertEquals("Read-only file system", e.getReason());
    }
  }

  @Test
  void withoutMountsItIsTheDirectoryOfTheSpecification() throws IOException {
    Files.createDirectory(bundle.resolve("image"));
    Files.writeString(bundle.resolve("image/file"), "content");
    try (RootFs rootFs = open()) {
      assertEquals("content", Files.readString(root(rootFs).resolve("file")));
    }
  }

  @Test
  void ofSeveralMountsTheLastCovers() throws IOException {
    Path image = layer("image");
    try (RootFs rootFs =
        open(
            new RootfsMount("bind", "/etc", "", List.of("rbind")),
            new RootfsMount("bind", image.toString(), "", List.of("rbind", "ro")))) {
      assertEquals("image", Files.readString(root(rootFs).resolve("from-image")));
    }
    assertNothingMounted();
  }

  @Test
  void aBlockDeviceIsADisk() {
    RootFs.Disk disk =
        new RootFs.Disk(
            new DiskConfig(Path.of("/dev/mapper/snap"), true), "ext4", List.of("ro", "noatime"));
    assertEquals(
        disk, open(new RootfsMount("ext4", "/dev/mapper/snap", "", List.of("ro", "noatime"))));
  }

  @Test
  void whatCannotBeMountedIsSaidAndNothingIsLeft() throws IOException {
    RootfsMount missing =
        new RootfsMount("overlay", "overlay", "", List.of("lowerdir=/no/such:/place"));
    RundException e = assertThrows(RundException.class, () -> open(missing));
    assertTrue(e.getMessage().contains("cannot mount the root file system of web"), e.getMessage());
    Path image = layer("image");
    RundException several =
        assertThrows(
            RundException.class,
            () ->
                open(
                    new RootfsMount("bind", image.toString(), "", List.of("bind")),
                    new RootfsMount("ext4", "/dev/mapper/snap", "", List.of())));
    assertTrue(several.getMessage().contains("/dev/mapper/snap (ext4)"), several.getMessage());
    assertNothingMounted();
  }
}
