package io.rund.network;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** Two named network namespaces, a pod's and a node's, joined as a CNI plugin joins them. */
final class TestNetwork implements AutoCloseable {
  private static int made;

  private final String pod = "rund-pod-" + ProcessHandle.current().pid() + "-" + ++made;
  private final String node = "rund-node-" + ProcessHandle.current().pid() + "-" + made;

  TestNetwork() {
    assumeTrue(
        "root".equals(System.getProperty("user.name")), "making network namespaces takes root");
    assumeTrue(Files.isWritable(Path.of("/dev/net/tun")), "/dev/net/tun cannot be opened here");
    assumeTrue(Files.isExecutable(Path.of("/usr/sbin/ip")), "ip(8) is not installed");
    run("ip", "netns", "add", pod);
    run("ip", "netns", "add", node);
    run("ip", "-n", pod, "link", "set", "lo", "up");
  }

  /** A veth pair: {@code name} in the pod's namespace, up on both sides. */
  void veth(String name, String mac, int mtu) {
    inPod("ip link add " + name + " address " + mac + " mtu " + mtu + " type veth peer name peer");
    inPod("ip link set peer name " + name + "-peer mtu " + mtu + " netns " + node + " up");
    inPod("ip link set " + name + " up");
  }

  Path podNamespace() {
    return Path.of("/run/netns", pod);
  }

  /** Runs a command of words; its output. */
  String inPod(String command) {
    return inNamespace(pod, command);
  }

  String inNode(String command) {
    return inNamespace(node, command);
  }

  Process startInPod(String command) {
    try {
      return new ProcessBuilder(words(pod, command)).start();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static List<String> words(String namespace, String command) {
    List<String> words = new ArrayList<>(List.of("ip", "netns", "exec", namespace));
    words.addAll(Arrays.asList(command.split(" ")));
    return words;
  }

  private static String inNamespace(String namespace, String command) {
    return run(words(namespace, command).toArray(String[]::new));
  }

  private static String run(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes(), UTF_8);
      assertEquals(0, process.waitFor(), () -> String.join(" ", command) + ": " + output);
      return output;
    } catch (IOException e) {
      throw new AssertionError(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Interfaces and their queueing disciplines, as people see them. */
  String podState() {
    return inPod("ip -o link show").replaceAll("state \\w+", "") + inPod("tc qdisc show");
  }

  /** Descriptors of this process that are namespaces, taps or sockets. */
  static long descriptors() {
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(TestNetwork::isOurs).count();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static boolean isOurs(Path descriptor) {
    try {
      String target = Files.readSymbolicLink(descriptor).toString();
      return target.contains("netns")
          || target.startsWith("net:")
          || target.endsWith("/tun")
          || target.contains("bpf")
          || target.startsWith("socket:");
    } catch (IOException e) {
      // The one of the listing itself.
      return false;
    }
  }

  @Override
  public void close() {
    run("ip", "netns", "del", pod);
    run("ip", "netns", "del", node);
  }
}
