package io.rund.core.sandbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.rund.core.error.RundException;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import java.io.IOException;
import java.util.List;

/**
 * What a snapshot is of, besides its machine and its container's specification.
 *
 * @param format raised with every change of what a snapshot's folder has, or of what it means
 * @param namespace containerd's, of the container
 * @param id of the container
 * @param guestId what the guest's agent calls it
 * @param terminal whether its program has one
 * @param cards slots of the network cards that the guest has, and a guest that goes on has not
 * @param rootfs the mount that its root file system was; the upper directory is a copy's
 */
record SnapshotDescription(
    int format,
    String namespace,
    String id,
    String guestId,
    int vcpus,
    long memoryBytes,
    boolean terminal,
    List<Integer> cards,
    Mount rootfs) {
  static final int FORMAT = 1;

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  /** An overlay, with options of mount(8). */
  record Mount(String source, List<String> options) {
    RootfsMount toRequest() {
      return new RootfsMount("overlay", source, "", options);
    }
  }

  /**
   * Describes a container that runs.
   *
   * @throws RundException FAILED_PRECONDITION for one of which there can be no snapshot
   */
  static SnapshotDescription of(Container container) {
    CreateRequest request = container.request();
    String id = request.id();
    if (container.kind() != Container.Kind.ALONE) {
      throw refusal(id, "it is part of a pod, whose containers are known to Kubernetes alone");
    }
    if (container.process("").state().status() != ProcessState.Status.RUNNING) {
      throw refusal(id, "its program does not run");
    }
    List<RootfsMount> mounts = request.rootfs();
    if (mounts.size() != 1 || !mounts.getFirst().isOverlay()) {
      throw refusal(
          id, "its root file system is no overlay, of which only the upper layer is copied");
    }
    RootfsMount root = mounts.getFirst();
    SandboxSize size = container.sandbox().size();
    return new SnapshotDescription(
        FORMAT,
        request.namespace(),
        id,
        container.guestId(),
        size.vcpus(),
        size.memoryBytes(),
        request.stdio().terminal(),
        container.sandbox().cards(),
        new Mount(root.source(), root.options()));
  }

  private static RundException refusal(String id, String reason) {
    return RundException.precondition("no snapshot of %s: %s".formatted(id, reason));
  }

  SandboxSize size() {
    return new SandboxSize(vcpus, memoryBytes);
  }

  byte[] json() {
    try {
      return JSON.writeValueAsBytes(this);
    } catch (JsonProcessingException e) {
      throw RundException.internal("cannot describe a snapshot: " + e.getMessage(), e);
    }
  }

  /**
   * Reads what {@link #json} wrote.
   *
   * @throws RundException FAILED_PRECONDITION for anything else
   */
  static SnapshotDescription read(byte[] json) {
    SnapshotDescription found;
    try {
      found = JSON.readValue(json, SnapshotDescription.class);
    } catch (IOException e) {
      throw RundException.precondition("its description cannot be read: " + e.getMessage());
    }
    if (found == null) {
      throw RundException.precondition("its description cannot be read: it is null");
    }
    if (found.format != FORMAT) {
      throw RundException.precondition(
          "it is of format %d, this rund reads %d".formatted(found.format, FORMAT));
    }
    return found;
  }
}
