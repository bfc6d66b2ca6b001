package io.rund.e2e.cri;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A port of this machine whose connections each become the standard streams of a command of their
 * own: one that runs in the lab and leads on to a socket there.
 */
public final class Tunnel implements AutoCloseable {
  private final ServerSocket listener;
  private final List<String> command;
  private final Set<Process> processes = ConcurrentHashMap.newKeySet();

  private Tunnel(ServerSocket listener, List<String> command) {
    this.listener = listener;
    this.command = command;
  }

  public static Tunnel through(List<String> command) {
    try {
      // Closed by close().
      @SuppressWarnings("resource")
      Tunnel tunnel =
          new Tunnel(new ServerSocket(0, 50, InetAddress.getLoopbackAddress()), command);
      Thread.startVirtualThread(tunnel::accept);
      return tunnel;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot listen on a port of this machine", e);
    }
  }

  public InetSocketAddress address() {
    return (InetSocketAddress) listener.getLocalSocketAddress();
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = listener.accept();
        Process process =
            new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        processes.add(process);
        Thread.startVirtualThread(() -> up(socket, process));
        Thread.startVirtualThread(() -> down(process, socket));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private static void up(Socket socket, Process process) {
    try (OutputStream out = process.getOutputStream()) {
      copy(socket.getInputStream(), out);
    } catch (IOException e) {
      // The other side has hung up, or this one without a word.
    }
  }

  private void down(Process process, Socket socket) {
    try (socket) {
      copy(process.getInputStream(), socket.getOutputStream());
    } catch (IOException e) {
      // As above.
    } finally {
      process.destroy();
      processes.remove(process);
    }
  }

  /** Unlike transferTo, passes on at once what has come. */
  private static void copy(InputStream from, OutputStream to) throws IOException {
    byte[] bytes = new byte[32 * 1024];
    for (int count = from.read(bytes); count >= 0; count = from.read(bytes)) {
      to.write(bytes, 0, count);
      to.flush();
    }
  }

  @Override
  public void close() {
    try {
      listener.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    processes.forEach(Process::destroy);
  }
}
