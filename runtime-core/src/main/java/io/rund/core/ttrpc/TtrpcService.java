package io.rund.core.ttrpc;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import com.google.protobuf.Parser;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentMap;

/**
 * The methods of one ttrpc service by name. Built once, then handed to a {@link TtrpcServer}; a
 * method that is not added answers UNIMPLEMENTED.
 */
public final class TtrpcService {
  /** Answers one request; blocking, on a virtual thread of its own. */
  public interface Handler<T> {
    /**
     * Returns the answer.
     *
     * @throws io.rund.core.error.RundException for an error that the caller should see as such;
     *     anything else is INTERNAL, and logged
     */
    MessageLite handle(RequestContext context, T request) throws Exception;
  }

  /**
   * What comes with a request.
   *
   * @param metadata the last value for a key that occurs twice
   * @param connection notes that services keep for the connection, as long as it lives; shared by
   *     its requests
   * @param abandoned completes when nobody waits for the answer any more: the connection is closed,
   *     or the deadline has passed. On the connection's loop, so what depends on it must be short
   */
  public record RequestContext(
      Map<String, String> metadata,
      ConcurrentMap<String, String> connection,
      CompletableFuture<Void> abandoned) {}

  /**
   * One method.
   *
   * @param interruptible whether the handler's thread is interrupted when nobody waits for its
   *     answer any more
   */
  record Method<T>(Parser<T> parser, Handler<T> handler, boolean interruptible) {
    T parse(ByteString payload) throws InvalidProtocolBufferException {
      return parser.parseFrom(payload);
    }

    MessageLite call(RequestContext context, ByteString payload) throws Exception {
      return handler.handle(context, parse(payload));
    }
  }

  private final String name;
  private final Map<String, Method<?>> methods = new HashMap<>();

  /** {@code name} is the proto's full name, such as "containerd.task.v2.Task". */
  public TtrpcService(String name) {
    this.name = name;
  }

  /** Adds a method that runs to its end even if its caller goes away. */
  public <T> TtrpcService method(String method, Parser<T> parser, Handler<T> handler) {
    methods.put(method, new Method<>(parser, handler, false));
    return this;
  }

  /**
   * Adds a method that only waits: its thread is interrupted when its caller goes away or its
   * deadline passes.
   */
  public <T> TtrpcService waitingMethod(String method, Parser<T> parser, Handler<T> handler) {
    methods.put(method, new Method<>(parser, handler, true));
    return this;
  }

  public String name() {
    return name;
  }

  Method<?> find(String method) {
    return methods.get(method);
  }
}
