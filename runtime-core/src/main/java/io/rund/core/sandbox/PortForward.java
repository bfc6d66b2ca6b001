package io.rund.core.sandbox;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Fd;
import io.rund.core.linux.Libc;
import io.rund.core.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers programs of the host that connect to a port inside the pod's namespace, as containerd
 * does for `kubectl port-forward`, with a connection to the same port of localhost in the guest.
 */
final class PortForward implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(PortForward.class);

  /** Connections at once; further ones are reset. */
  private static final int MAX_CONNECTIONS = 64;

  /** Connections accepted before the loop's other handlers have their turn. */
  private static final int BUDGET = 16;

  /** How long nobody is accepted when the host cannot, for want of descriptors. */
  private static final long PAUSE_MILLIS = 100;

  /** struct sockaddr_in6; the port is at offset 2 in that of IPv4 too. */
  private static final int ADDRESS_SIZE = 28;

  private final String sandbox;
  private final Fd listener;
  private final VirtualMachine vm;
  private final GuestAgent agent;
  private final IntSupplier vsockPorts;
  private final AtomicInteger connections = new AtomicInteger();

  /** On the loop. */
  private EventLoop.Registration registration;

  /**
   * Begins to accept.
   *
   * @param listener non-blocking; stays its owner's
   * @param vsockPorts ports of the host that nothing of this sandbox has used
   */
  PortForward(
      String sandbox, Fd listener, VirtualMachine vm, GuestAgent agent, IntSupplier vsockPorts) {
    this.sandbox = sandbox;
    this.listener = listener;
    this.vm = vm;
    this.agent = agent;
    this.vsockPorts = vsockPorts;
    vm.loop()
        .execute(
            () ->
                registration = vm.loop().register(listener.number(), Linux.EPOLLIN, _ -> accept()));
  }

  private void accept() {
    for (int i = 0; i < BUDGET; i++) {
      int flags = Linux.O_NONBLOCK | Linux.O_CLOEXEC;
      int number = Libc.Try.accept4(listener.number(), 0, 0, flags);
      if (number < 0) {
        pauseUnlessEmpty();
        return;
      }
      Fd socket = new Fd(number);
      if (connections.incrementAndGet() > MAX_CONNECTIONS) {
        connections.decrementAndGet();
        socket.close();
      } else {
        begin(socket);
      }
    }
  }

  private void begin(Fd socket) {
    try {
      Thread.startVirtualThread(() -> connect(socket));
    } catch (OutOfMemoryError e) {
      log.warn("sandbox {}: port-forward: the host has no thread: {}", sandbox, e.getMessage());
      connections.decrementAndGet();
      socket.close();
    }
  }

  /** The connection stays and the loop would be told of it again at once, for ever. */
  private void pauseUnlessEmpty() {
    int error = Native.getLastError();
    if (error != Linux.EAGAIN && error != Linux.EINTR) {
      log.warn("sandbox {}: port-forward: cannot accept: errno {}", sandbox, error);
      EventLoop.Registration paused = registration;
      paused.interest(0);
      CompletableFuture.delayedExecutor(PAUSE_MILLIS, TimeUnit.MILLISECONDS, vm.loop())
          .execute(() -> paused.interest(Linux.EPOLLIN));
    }
  }

  private void connect(Fd socket) {
    AtomicBoolean taken = new AtomicBoolean();
    int port = vsockPorts.getAsInt();
    try (AutoCloseable _ =
        vm.listen(
            port,
            1,
            stream -> {
              taken.set(true);
              var _ = new SocketRelay(socket, stream, connections::decrementAndGet);
            })) {
      agent.forwardPort(localPort(socket), port);
    } catch (RundException | LastErrorException e) {
      log.info("sandbox {}: port-forward: {}", sandbox, e.getMessage());
    } catch (Exception e) {
      log.warn("sandbox {}: port-forward", sandbox, e);
    }
    // The stream was accepted before the agent's answer, or never will be.
    vm.loop()
        .execute(
            () -> {
              if (!taken.get()) {
                socket.close();
                connections.decrementAndGet();
              }
            });
  }

  /** The port that the client asked for: a steered connection keeps it. */
  private static int localPort(Fd socket) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(ADDRESS_SIZE, Integer.BYTES);
      MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, ADDRESS_SIZE);
      Libc.getsockname(socket.number(), address.address(), size.address());
      return Short.toUnsignedInt(Short.reverseBytes(address.get(ValueLayout.JAVA_SHORT, 2)));
    }
  }

  /** Accepts no more. Connections end with the VM. Not on the loop. */
  @Override
  public void close() {
    CompletableFuture<Void> closed = new CompletableFuture<>();
    vm.loop()
        .execute(
            () -> {
              if (registration != null) {
                registration.close();
                registration = null;
              }
              closed.complete(null);
            });
    closed.join();
  }
}
