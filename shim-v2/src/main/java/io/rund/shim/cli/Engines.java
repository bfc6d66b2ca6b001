package io.rund.shim.cli;

import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.ttrpc.TtrpcSocket;
import io.rund.shim.wire.engine.ContainerRef;
import io.rund.shim.wire.engine.ListRequest;
import io.rund.shim.wire.engine.ListResponse;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;

/** The engines of this host that answer. */
final class Engines {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  /** An engine says what it has at once; one that hangs must not hide the others. */
  private static final Duration LIST_TIMEOUT = Duration.ofSeconds(30);

  private final Path stateDir;

  Engines(Path stateDir) {
    this.stateDir = stateDir;
  }

  /** A sandbox and the socket of its engine. */
  record Found(Path socket, io.rund.shim.wire.engine.Sandbox sandbox) {
    ContainerRef ref() {
      return ContainerRef.newBuilder()
          .setNamespace(sandbox.getNamespace())
          .setId(sandbox.getId())
          .build();
    }
  }

  /** Sockets as the launcher names them (native/launcher): one folder for each engine. */
  List<Path> sockets() {
    List<Path> sockets = new ArrayList<>();
    if (Files.isDirectory(stateDir)) {
      try (DirectoryStream<Path> folders = Files.newDirectoryStream(stateDir)) {
        for (Path folder : folders) {
          Path socket = folder.resolve("engine.sock");
          if (Files.exists(socket)) {
            sockets.add(socket);
          }
        }
      } catch (IOException e) {
        throw RundException.unavailable("cannot read %s: %s".formatted(stateDir, e), e);
      }
    }
    sockets.sort(null);
    return sockets;
  }

  /** Asks one engine. */
  static <T extends MessageLite> T ask(
      Path socket, String method, MessageLite request, Parser<T> parser) {
    return ask(socket, method, request, parser, TIMEOUT);
  }

  /** Asks one engine for what takes its time. */
  static <T extends MessageLite> T await(
      Path socket, String method, MessageLite request, Parser<T> parser) {
    return ask(socket, method, request, parser, Duration.ZERO);
  }

  private static <T extends MessageLite> T ask(
      Path socket, String method, MessageLite request, Parser<T> parser, Duration timeout) {
    try (TtrpcSocket connection = new TtrpcSocket(socket)) {
      return connection.client().call("rund.v1.Engine", method, request, parser, timeout).join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RundException known
          ? known
          : RundException.internal("asking the engine at " + socket, e);
    }
  }

  /** All sandboxes of all engines; a socket that an engine left behind is no engine. */
  List<Found> sandboxes() {
    List<Found> all = new ArrayList<>();
    for (Path socket : sockets()) {
      try {
        ask(socket, "List", ListRequest.getDefaultInstance(), ListResponse.parser(), LIST_TIMEOUT)
            .getSandboxesList()
            .forEach(sandbox -> all.add(new Found(socket, sandbox)));
      } catch (RundException e) {
        if (e.code() == ErrorCode.DEADLINE_EXCEEDED) {
          System.err.println("rund: the engine at " + socket + " does not answer");
        } else if (e.code() != ErrorCode.UNAVAILABLE) {
          throw e;
        }
      }
    }
    return all;
  }

  /** The one sandbox with this id; {@code namespace} may be empty if only one namespace has it. */
  Found find(String namespace, String id) {
    List<Found> found =
        sandboxes().stream()
            .filter(candidate -> candidate.sandbox().getId().equals(id))
            .filter(
                candidate ->
                    namespace.isEmpty() || candidate.sandbox().getNamespace().equals(namespace))
            .toList();
    if (found.isEmpty()) {
      throw RundException.notFound(
          "there is no sandbox %s%s; `rund list` shows those there are"
              .formatted(id, namespace.isEmpty() ? "" : " in namespace " + namespace));
    }
    if (found.size() > 1) {
      throw RundException.invalid(
          "%d sandboxes have the id %s; say which with --namespace %s"
              .formatted(
                  found.size(),
                  id,
                  String.join(
                      " or ", found.stream().map(f -> f.sandbox().getNamespace()).toList())));
    }
    return found.getFirst();
  }
}
