package io.rund.core.sandbox;

import java.nio.file.Path;

/** The network namespace in which a sandbox's anchor lives. */
public sealed interface NetworkNamespace {
  /** One that somebody made, such as a CNI plugin: a path to bind or /proc/PID/ns/net. */
  record Existing(Path path) implements NetworkNamespace {}

  /** A new one with only a loopback interface, gone with the anchor. */
  record Fresh() implements NetworkNamespace {}

  /** The engine's own: the spec names no network namespace. */
  record Host() implements NetworkNamespace {}
}
