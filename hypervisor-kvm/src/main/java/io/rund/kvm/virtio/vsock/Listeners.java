package io.rund.kvm.virtio.vsock;

import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VsockStream;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/** Who accepts connections to which port, and how many more. */
final class Listeners {
  /** Accepts connections to one port; its count belongs to the loop. */
  private static final class Listener {
    final Consumer<VsockStream> onAccept;
    int left;

    Listener(Consumer<VsockStream> onAccept, int limit) {
      this.onAccept = onAccept;
      this.left = limit;
    }
  }

  private final Map<Integer, Listener> listeners = new ConcurrentHashMap<>();

  /** Any thread. */
  AutoCloseable add(int port, int limit, Consumer<VsockStream> onAccept) {
    Listener listener = new Listener(onAccept, limit);
    if (listeners.putIfAbsent(port, listener) != null) {
      throw new RundException(
          ErrorCode.ALREADY_EXISTS, "vsock port " + Integer.toUnsignedString(port) + " is in use");
    }
    return () -> listeners.remove(port, listener);
  }

  /** Who takes one more connection to {@code port}, or null. On the loop. */
  Consumer<VsockStream> take(int port) {
    Listener listener = listeners.get(port);
    if (listener == null || listener.left == 0) {
      return null;
    }
    listener.left--;
    return listener.onAccept;
  }

  void clear() {
    listeners.clear();
  }
}
