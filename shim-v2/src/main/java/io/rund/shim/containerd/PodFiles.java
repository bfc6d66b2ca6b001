package io.rund.shim.containerd;

import io.rund.shim.wire.pod.DNSConfig;
import io.rund.shim.wire.pod.PodSandboxConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The files that say who a pod is and where its names are looked up, as containerd's own controller
 * of pods writes them (internal/cri/server/podsandbox/sandbox_run_linux.go, setupSandboxFiles).
 */
final class PodFiles {
  private static final Path ETC = Path.of("/etc");

  private PodFiles() {}

  /** Writes them into {@code folder}; the result says what each is to be mounted at. */
  static Map<String, Path> write(PodSandboxConfig config, Path folder) throws IOException {
    Map<String, Path> files = new TreeMap<>();
    put(files, folder, "hostname", hostname(config) + "\n");
    put(files, folder, "hosts", ofHost("hosts"));
    put(files, folder, "resolv.conf", resolvConf(config.getDnsConfig()));
    return files;
  }

  private static void put(Map<String, Path> files, Path folder, String name, String content)
      throws IOException {
    files.put(ETC.resolve(name).toString(), Files.writeString(folder.resolve(name), content));
  }

  /** The host's own file; empty where it has none. */
  private static String ofHost(String name) throws IOException {
    Path file = ETC.resolve(name);
    return Files.exists(file) ? Files.readString(file) : "";
  }

  private static String hostname(PodSandboxConfig config) throws IOException {
    return config.getHostname().isEmpty()
        ? Files.readString(Path.of("/proc/sys/kernel/hostname")).strip()
        : config.getHostname();
  }

  /** resolv.conf(5); the host's for a pod that names nothing. */
  private static String resolvConf(DNSConfig dns) throws IOException {
    StringBuilder lines = new StringBuilder();
    line(lines, "search", dns.getSearchesList());
    dns.getServersList().forEach(server -> line(lines, "nameserver", List.of(server)));
    line(lines, "options", dns.getOptionsList());
    return lines.isEmpty() ? ofHost("resolv.conf") : lines.toString();
  }

  private static void line(StringBuilder lines, String keyword, List<String> values) {
    if (!values.isEmpty()) {
      lines.append(keyword).append(' ').append(String.join(" ", values)).append('\n');
    }
  }
}
