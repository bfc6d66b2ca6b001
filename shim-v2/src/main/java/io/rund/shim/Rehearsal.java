package io.rund.shim;

import com.google.protobuf.Empty;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.task.CreateTaskRequest;
import io.rund.shim.wire.types.Mount;
import java.nio.file.Path;
import java.util.concurrent.CompletionException;

/**
 * Asks an engine for one sandbox, whatever becomes of it. Run while the distribution is made
 * (train.sh), so that the engine's AOT cache holds what the first sandbox needs too.
 */
final class Rehearsal {
  private Rehearsal() {}

  /** Arguments: the engine's socket, a bundle, and a file to be the sandbox's disk. */
  public static void main(String[] arguments) {
    CreateTaskRequest request =
        CreateTaskRequest.newBuilder()
            .setId("rehearsal")
            .setBundle(arguments[1])
            .addRootfs(Mount.newBuilder().setType("ext4").setSource(arguments[2]))
            .build();
    try (TtrpcSocket engine = new TtrpcSocket(Path.of(arguments[0]))) {
      var _ =
          engine
              .client()
              .call("containerd.task.v2.Task", "Create", request, Empty.parser(), null)
              .join();
    } catch (CompletionException e) {
      // Where KVM is slow or missing the sandbox does not come up, but the engine has tried.
      System.out.println(e.getCause().getMessage());
    }
  }
}
