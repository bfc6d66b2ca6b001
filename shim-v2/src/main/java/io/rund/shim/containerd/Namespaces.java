package io.rund.shim.containerd;

import io.rund.core.error.RundException;
import io.rund.core.sandbox.ContainerService;
import io.rund.core.ttrpc.TtrpcService.RequestContext;
import java.nio.file.Path;
import java.util.List;
import org.slf4j.MDC;

/**
 * Which containerd namespace a request is about. containerd says so in the metadata of each request
 * (namespaces/ttrpc.go) unless it is Debian's, which is built without the interceptor that puts it
 * there. Then the bundle of the Create tells, and the connection remembers, as containerd has one
 * for each task. A containerd that was restarted connects anew and does not create; it means the
 * one container that has the id.
 */
public final class Namespaces {
  /**
   * What the log knows the container as. Each request has a thread of its own, with which this
   * ends.
   */
  public static final String LOG_KEY = "container";

  private static final String KEY = "containerd-namespace-ttrpc";

  private final ContainerService containers;

  Namespaces(ContainerService containers) {
    this.containers = containers;
  }

  /** The namespace of a container to be made; bundles lie in STATE/NAMESPACE/ID. */
  String ofNew(RequestContext context, String id, Path bundle) {
    MDC.put(LOG_KEY, id);
    String namespace = context.metadata().get(KEY);
    if (namespace == null) {
      Path parent = bundle.getParent();
      if (parent == null || parent.getFileName() == null) {
        throw RundException.invalid(
            "the request names no containerd namespace, and its bundle %s is in none"
                .formatted(bundle));
      }
      namespace = parent.getFileName().toString();
    }
    context.connection().put(KEY, namespace);
    return namespace;
  }

  /** The namespace of the container {@code id}. */
  String of(RequestContext context, String id) {
    MDC.put(LOG_KEY, id);
    String namespace = context.metadata().get(KEY);
    if (namespace == null) {
      namespace = context.connection().get(KEY);
    }
    return namespace == null ? search(id) : namespace;
  }

  private String search(String id) {
    List<String> found = containers.namespaces(id);
    if (found.isEmpty()) {
      throw RundException.notFound("there is no container " + id);
    }
    if (found.size() > 1) {
      throw RundException.invalid(
          "the request names no namespace, and %s all have a container %s".formatted(found, id));
    }
    return found.getFirst();
  }
}
