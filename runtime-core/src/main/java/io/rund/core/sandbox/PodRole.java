package io.rund.core.sandbox;

import io.rund.core.error.RundException;

/**
 * What a container is in its pod, by the annotations of containerd's CRI plugin (containerd
 * pkg/cri/annotations). Without them it is a sandbox of its own.
 */
sealed interface PodRole {
  /** No pod: a sandbox with this one container. */
  record Alone() implements PodRole {}

  /** The pod itself, whose pause process the engine only remembers. */
  record PodSandbox() implements PodRole {}

  /** A container in the pod whose sandbox has this id, in the same containerd namespace. */
  record Member(String sandboxId) implements PodRole {}

  String TYPE = "io.kubernetes.cri.container-type";
  String SANDBOX_ID = "io.kubernetes.cri.sandbox-id";

  /**
   * The role that a specification gives its container.
   *
   * @throws RundException INVALID_ARGUMENT for annotations that contradict themselves
   */
  static PodRole of(OciSpec spec) {
    return switch (spec.annotation(TYPE).orElse("")) {
      case "" -> new Alone();
      case "sandbox" -> new PodSandbox();
      case "container" ->
          new Member(
              spec.annotation(SANDBOX_ID)
                  .orElseThrow(
                      () ->
                          RundException.invalid(
                              "%s: annotation %s is \"container\", but %s does not say of which sandbox"
                                  .formatted(spec.file(), TYPE, SANDBOX_ID))));
      case String other ->
          throw RundException.invalid(
              "%s: annotation %s is \"%s\"; it must be \"sandbox\" or \"container\""
                  .formatted(spec.file(), TYPE, other));
    };
  }
}
