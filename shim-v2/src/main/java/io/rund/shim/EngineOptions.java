package io.rund.shim;

import io.rund.core.error.RundException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * The engine's command line, as native/launcher writes it.
 *
 * @param socket where the engine listens; beside it lies engine.lock
 * @param containerdTtrpc containerd's socket for events
 * @param config the configuration file
 * @param log the file to append the log to
 * @param readyFd descriptor on which to say "ready\n", or why not; -1 if nobody listens
 */
public record EngineOptions(Path socket, Path containerdTtrpc, Path config, Path log, int readyFd) {
  private static final Set<String> NAMES =
      Set.of("--socket", "--containerd-ttrpc", "--config", "--log", "--ready-fd");

  /**
   * Reads {@code --name value} pairs.
   *
   * @throws RundException INVALID_ARGUMENT that names the option
   */
  public static EngineOptions parse(String... arguments) {
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < arguments.length; i += 2) {
      if (!NAMES.contains(arguments[i]) || i + 1 == arguments.length) {
        throw RundException.invalid(
            "option %s: unknown, or without a value; the engine is started by containerd-shim-rund-v2"
                .formatted(arguments[i]));
      }
      values.put(arguments[i], arguments[i + 1]);
    }
    return new EngineOptions(
        path(values, "--socket"),
        path(values, "--containerd-ttrpc"),
        path(values, "--config"),
        path(values, "--log"),
        Integer.parseInt(values.getOrDefault("--ready-fd", "-1")));
  }

  private static Path path(Map<String, String> values, String name) {
    String value = values.get(name);
    if (value == null) {
      throw RundException.invalid("option %s is missing".formatted(name));
    }
    return Path.of(value);
  }

  /** Held by whoever starts the engine, and by the engine when it leaves. */
  public Path lock() {
    return socket.resolveSibling("engine.lock");
  }
}
