package io.rund.core.stdio;

import io.rund.core.agent.GuestAgent.StdioPorts;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VsockStream;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.stream.Stream;

/**
 * The standard streams of one process: the FIFOs and logs are open and the ports are listened on
 * from the start, the pumps run when the agent connects. Safe for use by several threads.
 */
public final class ProcessIo implements AutoCloseable {
  private final VirtualMachine vm;
  private final StdioPaths paths;
  private final List<Channel> channels = new ArrayList<>();
  private final StdioPorts ports;

  /** Where output goes that no FIFO is for. */
  private Optional<LogTarget> log = Optional.empty();

  /** One stream: a FIFO, the port where the agent asks for it, and the pump once it has. */
  private static final class Channel {
    final int port;
    final Fifo fifo;
    final boolean input;
    final CompletableFuture<Void> done = new CompletableFuture<>();
    AutoCloseable listener;

    /** Set and used on the loop. */
    Pump pump;

    Channel(int port, Fifo fifo, boolean input) {
      this.port = port;
      this.fifo = fifo;
      this.input = input;
    }

    /** The agent has come for the stream; on the loop. */
    void connect(VsockStream stream) {
      pump = input ? new Pump.Input(fifo, stream) : new Pump.Output(fifo, stream);
      var _ = pump.done().thenAccept(done::complete);
      pump.run();
    }

    /** On the loop. */
    void end() {
      if (pump != null) {
        pump.end();
      } else {
        fifo.close();
        done.complete(null);
      }
    }
  }

  private ProcessIo(
      VirtualMachine vm, LogTarget.Owner owner, StdioPaths paths, IntSupplier nextPort) {
    this.vm = vm;
    this.paths = paths;
    try {
      int stdin = isNone(paths.stdin()) ? 0 : add(Fifo.input(paths.stdin()), true, nextPort);
      if (!isNone(paths.stdout())) {
        log = LogTarget.of(vm.loop(), owner, paths.stdout(), paths.terminal());
      }
      int stdout = output(paths.stdout(), LogTarget::stdout, nextPort);
      // A terminal has one output.
      int stderr = paths.terminal() ? 0 : output(paths.stderr(), LogTarget::stderr, nextPort);
      this.ports = new StdioPorts(paths.terminal(), stdin, stdout, stderr);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * Opens what {@code paths} names and awaits the agent. A logging program is started and waited
   * for. One that stdout names takes stderr too, as with runc's shim.
   *
   * @param namespace containerd's, of the container {@code containerId}: whose output it is
   * @param nextPort a vsock port that nobody listens on, for each stream
   * @throws io.rund.core.error.RundException INVALID_ARGUMENT that names a path that is no FIFO and
   *     no log; nothing stays open
   */
  public static ProcessIo open(
      VirtualMachine vm,
      String namespace,
      String containerId,
      StdioPaths paths,
      IntSupplier nextPort) {
    return new ProcessIo(vm, new LogTarget.Owner(namespace, containerId), paths, nextPort);
  }

  private static boolean isNone(String path) {
    return path.isEmpty() || path.equals("/dev/null");
  }

  private int output(String path, Function<LogTarget, Fifo> end, IntSupplier nextPort) {
    if (log.isPresent()) {
      return add(end.apply(log.get()), false, nextPort);
    }
    return isNone(path) ? 0 : add(Fifo.output(path), false, nextPort);
  }

  private int add(Fifo fifo, boolean input, IntSupplier nextPort) {
    Channel channel = new Channel(nextPort.getAsInt(), fifo, input);
    channels.add(channel);
    channel.listener = vm.listen(channel.port, 1, channel::connect);
    return channel.port;
  }

  public StdioPorts ports() {
    return ports;
  }

  public StdioPaths paths() {
    return paths;
  }

  /** The client has no more input: the process sees the end once it has read what is there. */
  public void closeStdin() {
    for (Channel channel : channels) {
      if (channel.input) {
        channel.fifo.endWhenWritersLeave();
      }
    }
  }

  /**
   * Waits until the client has taken all output, or for {@code bound}; a client that never reads is
   * not waited for.
   */
  public void drain(Duration bound) {
    CompletableFuture<?>[] outputs =
        Stream.concat(
                channels.stream().filter(channel -> !channel.input).map(channel -> channel.done),
                log.map(LogTarget::done).stream())
            .toArray(CompletableFuture[]::new);
    try {
      var _ = CompletableFuture.allOf(outputs).get(bound.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      // Nobody reads: what is left goes with the stream.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Closes everything, whatever is still on its way. Idempotent. */
  @Override
  public void close() {
    for (Channel channel : channels) {
      if (channel.listener != null) {
        closeQuietly(channel.listener);
      }
      vm.loop().execute(channel::end);
    }
    // After the ends of its pipes, which the loop closes.
    log.ifPresent(target -> vm.loop().execute(target::close));
  }

  private static void closeQuietly(AutoCloseable listener) {
    try {
      listener.close();
    } catch (Exception e) {
      throw new AssertionError("a vsock listener does not throw", e);
    }
  }
}
