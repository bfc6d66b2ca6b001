package io.rund.shim.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.rund.core.sandbox.CreateRequest;
import io.rund.core.ttrpc.TtrpcServer;
import io.rund.shim.EngineServiceAccess;
import io.rund.shim.containerd.FakeContainers;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The command against two engines with fake containers. */
class RundCommandTest {
  @TempDir Path stateDir;
  private final FakeContainers first = new FakeContainers();
  private final FakeContainers second = new FakeContainers();
  private final List<TtrpcServer> engines = new ArrayList<>();

  private record Result(int exitCode, String out, String err) {
    JsonNode json() throws IOException {
      return new ObjectMapper().readTree(out);
    }
  }

  @BeforeEach
  void serve() throws IOException {
    engine("node-1", first);
    engine("namespace-2", second);
    create(first, "default", "web");
    create(first, "default", "both");
    create(second, "k8s.io", "both");
  }

  private void engine(String name, FakeContainers containers) throws IOException {
    Path folder = Files.createDirectory(stateDir.resolve(name));
    engines.add(
        new TtrpcServer(
            folder.resolve("engine.sock"), List.of(EngineServiceAccess.over(containers))));
  }

  private static void create(FakeContainers containers, String namespace, String id) {
    var stdio = new CreateRequest.StdioPaths(false, "", "", "");
    var _ =
        containers.create(
            new CreateRequest(namespace, id, Path.of("/bundle", id), List.of(), stdio));
    var _ = containers.start(namespace, id, "");
  }

  @AfterEach
  void stop() {
    engines.forEach(TtrpcServer::close);
  }

  private Result rund(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    List<String> line = new ArrayList<>(List.of(arguments));
    line.addAll(List.of("--state-dir", stateDir.toString()));
    CommandLine command =
        RundCommand.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int exitCode = command.execute(line.toArray(String[]::new));
    return new Result(exitCode, out.toString(), err.toString());
  }

  @Test
  void listsTheSandboxesOfAllEnginesAndPassesOverDeadOnes() throws Exception {
    Files.createFile(Files.createDirectory(stateDir.resolve("node-dead")).resolve("engine.sock"));
    Result text = rund("list");
    assertEquals(0, text.exitCode(), text.err());
    List<String> lines = text.out().lines().toList();
    assertEquals(4, lines.size(), text.out());
    assertTrue(lines.getFirst().startsWith("NAMESPACE  ID    PID   STATUS"), text.out());
    assertTrue(text.out().contains("default    web   4711  running  2      256 MiB"), text.out());

    JsonNode json = rund("list", "--json").json();
    assertEquals(3, json.size());
    assertEquals(256 << 20, json.get(0).get("memory_bytes").asInt());
    assertEquals("2023-11-14T22:13:20Z", json.get(0).get("created_at").asText());
  }

  @Test
  void showsOneSandbox() throws Exception {
    Result text = rund("state", "web");
    assertTrue(text.out().contains("bundle     /bundle/web"), text.out());
    assertTrue(text.out().contains("(init)"), text.out());
    JsonNode json = rund("state", "web", "--json").json();
    assertEquals("running", json.get("processes").get(0).get("status").asText());
    assertTrue(json.get("engine_socket").asText().endsWith("node-1/engine.sock"));
  }

  @Test
  void savesAndMultipliesWhatIsNamed() throws Exception {
    Path target = stateDir.resolve("saved");
    assertEquals(0, rund("snapshot", "web", target.toString()).exitCode());
    assertTrue(first.calls.contains("snapshot " + target), first.calls::toString);
    Result clone =
        rund("clone", "web", "--id", "web-2", "--output", "log", "--netns", "/run/netns/a");
    assertEquals("web-2\n", clone.out());
    assertTrue(
        first.calls.contains(
            "clone web as web-2 to file://%s in /run/netns/a"
                .formatted(Path.of("log").toAbsolutePath())),
        first.calls::toString);
    JsonNode unnamed = rund("clone", "web", "--json").json();
    assertTrue(unnamed.get("id").asText().matches("web-[0-9a-f]{8}"), unnamed::toString);
    assertEquals(0, rund("remove", "both", "-n", "k8s.io").exitCode());
    assertTrue(second.calls.contains("remove both"), second.calls::toString);
  }

  @Test
  void runsAProgramWhoseOptionsAreItsOwn() {
    PrintStream stdout = System.out;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    System.setOut(new PrintStream(said, true, UTF_8));
    try {
      int status =
          RundCommand.commandLine()
              .execute("exec", "--state-dir", stateDir.toString(), "web", "sh", "-c", "--help");
      assertEquals(7, status);
    } finally {
      System.setOut(stdout);
    }
    assertEquals("sh+-c+--help", said.toString(UTF_8));
  }

  @Test
  void killsWhatIsNamed() {
    assertEquals(0, rund("kill", "web", "SIGKILL").exitCode());
    assertEquals(0, rund("kill", "both", "-n", "k8s.io").exitCode());
    assertTrue(first.calls.contains("kill 9 false"));
    assertTrue(second.calls.contains("kill 15 false"));
  }

  @Test
  void saysWhatIsWrong() {
    Result unknown = rund("state", "nothing");
    assertEquals(1, unknown.exitCode());
    assertTrue(unknown.err().contains("there is no sandbox nothing"), unknown.err());
    Result ambiguous = rund("kill", "both");
    assertEquals(1, ambiguous.exitCode());
    assertTrue(ambiguous.err().contains("--namespace k8s.io or default"), ambiguous.err());
    Result signal = rund("kill", "web", "NONSENSE");
    assertEquals(1, signal.exitCode());
    assertTrue(signal.err().contains("NONSENSE is no signal"), signal.err());
    assertEquals(2, rund("frobnicate").exitCode());
  }

  @Test
  void drawsAWaterfall() throws Exception {
    Result text = rund("timeline", "web");
    List<String> lines = text.out().lines().toList();
    assertEquals(5, lines.size(), text.out());
    assertTrue(lines.get(1).startsWith("vm                0.0 ms        3.0 ms  █"), text.out());
    assertTrue(lines.get(3).endsWith("█"), text.out());
    assertEquals("in all 120.0 ms", lines.get(4));
    assertEquals(3, rund("timeline", "web", "--json").json().get("phases").size());
  }

  private Result overhead(String... arguments) throws IOException {
    Path config = Files.writeString(stateDir.resolve("rund.toml"), "memory_overhead = \"64MiB\"\n");
    List<String> line = new ArrayList<>(List.of("overhead", "--config", config.toString()));
    line.addAll(List.of(arguments));
    return rund(line.toArray(String[]::new));
  }

  @Test
  void showsWhatSandboxesCost() throws Exception {
    JsonNode json = overhead("web", "--json").json();
    JsonNode guest = json.get("sandboxes").get(0).get("guest");
    assertEquals(20 << 20, guest.get("kernel_reserved").asLong());
    assertEquals(18 << 20, guest.get("kernel_and_agent").asLong());
    JsonNode host = json.get("sandboxes").get(0).get("host");
    assertEquals(0, host.get("guest_ram").asLong());
    assertTrue(host.get("anchors").asLong() > 1 << 20, host::toString);
    assertEquals(3 * 16384, host.get("kernel_stacks").asLong());
    assertTrue(json.get("pod_fixed").get("memory").asText().matches("\\d+Mi"), json::toString);
    assertTrue(json.get("pod_fixed").get("cpu").asText().matches("\\d+0m"), json::toString);

    JsonNode pool = json.get("pools").get(0);
    assertEquals(ProcessHandle.current().pid(), pool.get("engine").asLong());
    assertEquals("vm", pool.get("name").asText());
    assertEquals(1, pool.get("ready").asInt());
    assertEquals(2, pool.get("most").asInt());

    Result all = overhead();
    assertEquals(0, all.exitCode(), all.err());
    assertTrue(all.out().startsWith("NAMESPACE  ID    MEMORY"), all.out());
    assertTrue(all.out().lines().anyMatch(line -> line.matches("\\d+ +vm +1 +2")), all.out());
    assertTrue(all.out().contains("podFixed: {memory: \""), all.out());
    assertTrue(overhead("web").out().contains("left for containers"), all.out());
    assertEquals(1, overhead("nothing").exitCode());
  }

  @Test
  void tellsVersions() throws Exception {
    JsonNode json = rund("version", "--json").json();
    assertEquals(2, json.get("engines").size());
    assertEquals(ProcessHandle.current().pid(), json.get("engines").get(0).get("pid").asLong());
  }
}
