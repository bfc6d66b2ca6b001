package io.rund.core.ttrpc;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.rund.core.error.RundException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The answering end of ttrpc on a unix socket. One thread reads and writes all connections; each
 * request runs on a virtual thread. Safe for use by several threads.
 */
public final class TtrpcServer implements AutoCloseable {
  private final Map<String, TtrpcService> services;
  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(
          1, new DefaultThreadFactory("ttrpc", true), NioIoHandler.newFactory());
  private final ChannelGroup connections = new DefaultChannelGroup(group.next(), true);
  private final AtomicInteger inFlight = new AtomicInteger();
  private final Channel listener;
  private volatile long lastRequestNanos = System.nanoTime();
  private volatile long lastBeginNanos = System.nanoTime();

  /**
   * Listens on {@code socket}, which only root may use then.
   *
   * @throws RundException UNAVAILABLE if that cannot be done, for example because the file exists
   */
  public TtrpcServer(Path socket, List<TtrpcService> services) {
    this.services =
        services.stream().collect(Collectors.toMap(TtrpcService::name, Function.identity()));
    try {
      listener =
          new ServerBootstrap()
              .group(group)
              .channel(NioServerDomainSocketChannel.class)
              // A few small messages a second do not pay for a pool's arenas.
              .option(ChannelOption.ALLOCATOR, new UnpooledByteBufAllocator(false))
              .childOption(ChannelOption.ALLOCATOR, new UnpooledByteBufAllocator(false))
              .childHandler(
                  new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                      connections.add(channel);
                      channel.pipeline().addLast(new ServerConnection(TtrpcServer.this, channel));
                    }
                  })
              .bind(UnixDomainSocketAddress.of(socket))
              .sync()
              .channel();
      Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-------"));
    } catch (Exception e) {
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      var _ = group.shutdownGracefully(0, 0, TimeUnit.SECONDS);
      throw RundException.unavailable(
          "cannot listen on %s: %s".formatted(socket, e.getMessage()), e);
    }
  }

  /** Requests that have no answer yet. */
  public int inFlight() {
    return inFlight.get();
  }

  /** When the last request came or was answered, as of System.nanoTime. */
  public long lastRequestNanos() {
    return lastRequestNanos;
  }

  /** When the last request came, as of System.nanoTime. */
  public long lastBeginNanos() {
    return lastBeginNanos;
  }

  TtrpcService service(String name) {
    return services.get(name);
  }

  void requestBegins() {
    inFlight.incrementAndGet();
    lastRequestNanos = System.nanoTime();
    lastBeginNanos = lastRequestNanos;
  }

  void requestEnds() {
    lastRequestNanos = System.nanoTime();
    inFlight.decrementAndGet();
  }

  /** Takes no more connections and removes the socket; those there are go on. Idempotent. */
  public void stopListening() {
    // Netty removes the file of a socket that it has bound.
    var _ = listener.close().syncUninterruptibly();
  }

  /** Stops listening, and closes all connections once the answers given are on their way. */
  @Override
  public void close() {
    stopListening();
    // A loop that ends with connections open leaves their clients waiting.
    var _ = connections.close().awaitUninterruptibly(5, TimeUnit.SECONDS);
    var _ =
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly(6, TimeUnit.SECONDS);
  }
}
