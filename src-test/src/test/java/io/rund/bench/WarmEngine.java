package io.rund.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.engine.FootprintRequest;
import io.rund.shim.wire.engine.FootprintResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * The engine of the machine's containerd, which the launcher finds or starts as for containerd.
 * Sandboxes are asked of it on its socket, as containerd does: what containerd and its client take
 * is not the engine's, and in an emulated machine more than the rest. Safe for use by several
 * threads.
 */
final class WarmEngine implements AutoCloseable {
  /** A sandbox as containerd makes it where nobody asks for anything. */
  static final Consumer<ObjectNode> PLAIN = _ -> {};

  private static final String NAMESPACE = "bench";

  /** A template is made behind a first sandbox. */
  private static final Duration TEMPLATE = Duration.ofMinutes(4);

  private final Path folder;
  private final Path image;
  private final Path socket;
  private final ObjectNode specification;
  private final AtomicInteger ids = new AtomicInteger();

  /** Every sandbox of this run has a bundle in {@code folder}, which need not exist. */
  WarmEngine(Path folder) throws IOException, InterruptedException {
    this.folder = Files.createDirectories(folder.resolve(NAMESPACE));
    this.image = Files.createDirectories(folder.resolve("image/bin")).getParent();
    Path busybox = image.resolve("bin/busybox");
    if (Files.notExists(busybox)) {
      var _ = Files.copy(Path.of("/bin/busybox"), busybox);
    }
    specification = (ObjectNode) new ObjectMapper().readTree(Programs.output("ctr", "oci", "spec"));
    specification
        .withObjectProperty("process")
        .withArrayProperty("args")
        .removeAll()
        .add("/bin/busybox")
        .add("sleep")
        .add("1000000");
    socket = launch();
  }

  private Path launch() throws IOException, InterruptedException {
    String containerd = System.getenv("CONTAINERD_ADDRESS");
    ProcessBuilder launcher =
        new ProcessBuilder(
                "containerd-shim-rund-v2",
                "-namespace",
                NAMESPACE,
                "-id",
                "bench",
                "-address",
                containerd,
                "start")
            .directory(folder.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    launcher.environment().put("TTRPC_ADDRESS", containerd + ".ttrpc");
    Process process = launcher.start();
    process.getOutputStream().close();
    String address = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
    if (process.waitFor() != 0 || !address.startsWith("unix://")) {
      throw new IllegalStateException("the launcher's answer: " + address);
    }
    return Path.of(address.substring("unix://".length()));
  }

  /** Starts sandboxes until one is a clone. */
  void awaitTemplate(Consumer<ObjectNode> change) throws Exception {
    long end = System.nanoTime() + TEMPLATE.toNanos();
    while (true) {
      try (BenchSandbox sandbox = sandbox(change)) {
        sandbox.start();
        if (sandbox.isClone()) {
          return;
        }
      }
      if (System.nanoTime() > end) {
        throw new IllegalStateException("no sandbox was a clone in " + TEMPLATE);
      }
      Thread.sleep(500);
    }
  }

  /**
   * A sandbox that is not there yet.
   *
   * @param change what it has other than containerd's default specification
   */
  BenchSandbox sandbox(Consumer<ObjectNode> change) throws IOException {
    String id = "bench-" + ids.getAndIncrement() + "-" + ProcessHandle.current().pid();
    Path bundle = Files.createDirectory(folder.resolve(id));
    for (String name : List.of("rootfs", "upper", "work")) {
      var _ = Files.createDirectory(bundle.resolve(name));
    }
    ObjectNode own = specification.deepCopy();
    own.withObjectProperty("linux").put("cgroupsPath", "/" + NAMESPACE + "/" + id);
    change.accept(own);
    new ObjectMapper().writeValue(bundle.resolve("config.json").toFile(), own);
    return new BenchSandbox(new TtrpcSocket(socket), id, bundle, image);
  }

  FootprintResponse footprint() {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      return connection
          .client()
          .call(
              "rund.v1.Engine",
              "Footprint",
              FootprintRequest.getDefaultInstance(),
              FootprintResponse.parser(),
              Duration.ofMinutes(1))
          .join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException known ? known : e;
    }
  }

  @Override
  public void close() throws IOException {
    Files.deleteIfExists(folder.resolve("address"));
    Files.deleteIfExists(folder);
  }
}
