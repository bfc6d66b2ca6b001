package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GuestSpecTest {
  private static final String SPEC =
      """
      {"ociVersion": "1.2.1",
       "process": {"args": ["true"], "apparmorProfile": "x", "selinuxLabel": "y", "cwd": "/"},
       "root": {"path": "rootfs", "readonly": true},
       "hostname": "web",
       "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
       "linux": {"cgroupsPath": "/default/web", "resources": {"memory": {"limit": 134217728}, "cpu": {"quota": 150000, "period": 100000}},
                 "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "network", "path": "/run/netns/pod"}, {"type": "mount"}]}}
      """;

  @TempDir Path bundle;

  private OciSpec spec(String json) throws IOException {
    Files.writeString(bundle.resolve("config.json"), json);
    return OciSpec.read(bundle);
  }

  private JsonNode guest(String json) throws IOException {
    try (HostFiles files = new HostFiles("web", Optional.empty())) {
      GuestSpec guest = GuestSpec.of(spec(json), "web", files, Optional.empty());
      return new ObjectMapper().readTree(guest.json(List.of()));
    }
  }

  @Test
  void keepsWhatTheContainerIsAndChangesWhatAVmChanges() throws IOException {
    JsonNode guest = guest(SPEC);
    assertEquals("1.0.2", guest.path("ociVersion").asText());
    assertEquals("web", guest.path("hostname").asText());
    assertTrue(guest.path("root").path("readonly").asBoolean());
    assertEquals("/web", guest.path("linux").path("cgroupsPath").asText());
    assertFalse(guest.path("process").has("apparmorProfile"));
    assertFalse(guest.path("process").has("selinuxLabel"));
    assertEquals(
        "[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]",
        guest.path("linux").path("namespaces").toString());
    assertEquals(
        134217728, guest.path("linux").path("resources").path("memory").path("limit").asLong());
  }

  @Test
  void aCgroupNamespaceThatIsAskedForIsNotAddedTwice() throws IOException {
    String json = SPEC.replace("{\"type\": \"mount\"}", "{\"type\": \"cgroup\"}");
    assertEquals(
        "[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"cgroup\"}]",
        guest(json).path("linux").path("namespaces").toString());
  }

  @Test
  void numbersOfTheHostsCpusAndLimitsOfNothingStayOnTheHost() throws IOException {
    String json =
        SPEC.replace(
                "\"resources\": {",
                "\"resources\": {\"hugepageLimits\": [{\"pageSize\": \"1GB\", \"limit\": 0}], ")
            .replace("\"cpu\": {", "\"cpu\": {\"cpus\": \"7\", \"mems\": \"1\", ");
    JsonNode resources = guest(json).path("linux").path("resources");
    assertEquals("{\"quota\":150000,\"period\":100000}", resources.path("cpu").toString());
    assertTrue(resources.path("hugepageLimits").isMissingNode(), resources::toString);
  }

  @Test
  void hugePagesAreRefusedSinceAGuestHasNone() {
    String json =
        SPEC.replace(
            "\"resources\": {",
            "\"resources\": {\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 67108864}], ");
    RundException e = assertThrows(RundException.class, () -> guest(json));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    assertTrue(e.getMessage().contains("67108864 bytes of huge pages of 2MB"), e::getMessage);
  }

  @Test
  void sysctlsOfTheSharedNetworkAreTheAgentsToWrite() throws IOException {
    String json =
        SPEC.replace(
            "\"linux\": {",
            "\"linux\": {\"sysctl\": {\"net.core.somaxconn\": \"9\", \"kernel.shmmax\": \"5\"}, ");
    try (HostFiles files = new HostFiles("web", Optional.empty())) {
      GuestSpec spec = GuestSpec.of(spec(json), "web", files, Optional.empty());
      assertEquals(Map.of("net.core.somaxconn", "9"), spec.sysctls());
      assertTrue(
          new String(spec.json(List.of()), StandardCharsets.UTF_8)
              .contains("\"sysctl\":{\"kernel.shmmax\":\"5\"}"));
    }
  }

  @Test
  void knowsWhatTheSandboxNeeds() throws IOException {
    OciSpec spec = spec(SPEC);
    assertEquals(134217728, spec.memoryLimit().getAsLong());
    assertEquals(2, spec.cpus().getAsLong());
    assertEquals(
        new NetworkNamespace.Existing(Path.of("/run/netns/pod")), spec.network().orElseThrow());
    assertEquals("/default/web", spec.cgroupsPath().orElseThrow());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"type\": \"proc\", \"source\": \"proc\" | \"type\": \"nfs\", \"source\": \"server:/data\" | mount of server:/data (type nfs) at /proc",
        "{\"type\": \"pid\"}, | `` | host's PID namespace",
        "{\"type\": \"ipc\"}, | `` | host's IPC namespace",
        "{\"type\": \"pid\"} | {\"type\": \"pid\", \"path\": \"/proc/7/ns/pid\"} | pid namespace /proc/7/ns/pid",
        "{\"type\": \"network\", \"path\": \"/run/netns/pod\"}, | `` | host networking",
        "\"hostname\": \"web\", | \"hooks\": {\"prestart\": [{\"path\": \"/bin/hook\"}]}, | OCI hooks (/bin/hook)",
        "\"cgroupsPath\": | \"devices\": [{\"path\": \"/dev/kvm\", \"type\": \"c\", \"major\": 10, \"minor\": 232}], \"cgroupsPath\": | device /dev/kvm (10:232)",
      })
  void refusesWithItsReasonWhatAVmCannotGive(String from, String to, String message)
      throws IOException {
    assertTrue(SPEC.contains(from), from);
    String changed = SPEC.replace(from, to);
    RundException e = assertThrows(RundException.class, () -> guest(changed));
    assertEquals(ErrorCode.INVALID_ARGUMENT, e.code());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void aMissingSpecificationIsNamed() {
    RundException e = assertThrows(RundException.class, () -> OciSpec.read(bundle));
    assertTrue(e.getMessage().contains(bundle + "/config.json does not exist"), e.getMessage());
  }

  @Test
  void aBrokenSpecificationIsNamedByLine() {
    RundException e =
        assertThrows(RundException.class, () -> spec("{\n\"process\": {\"args\": [}"));
    assertTrue(e.getMessage().contains("config.json is not valid JSON (line 2"), e.getMessage());
  }

  @Test
  void aSpecificationWithNothingToRunIsRefused() {
    RundException e = assertThrows(RundException.class, () -> spec("{\"process\": {}}"));
    assertTrue(e.getMessage().contains("process.args is empty"), e.getMessage());
  }

  @Test
  void anArgumentThatNoKernelTakesIsRefusedBeforeThereIsASandbox() throws IOException {
    String longest = SPEC.replace("true\"]", "x".repeat(128 * 1024 - 1) + "\"]");
    assertFalse(guest(longest).isEmpty());
    RundException e =
        assertThrows(RundException.class, () -> guest(longest.replace("[\"x", "[\"xx")));
    assertTrue(
        e.getMessage().contains("argument list too long: process.args[0] has 131072 bytes"),
        e.getMessage());
  }

  @Test
  void anExecIsCheckedToo() {
    RundException e =
        assertThrows(
            RundException.class,
            () -> GuestSpec.process("{\"args\": []}".getBytes(StandardCharsets.UTF_8)));
    assertTrue(e.getMessage().contains("no args"), e.getMessage());
  }
}
