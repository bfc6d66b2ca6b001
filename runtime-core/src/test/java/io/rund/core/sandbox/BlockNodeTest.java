package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.agent.GuestAgent.DiskNumber;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.linux.EventLoop;
import io.rund.core.sandbox.HostFile.DeviceNumber;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Block device nodes, made in a directory; nothing is behind their numbers. Needs root. */
class BlockNodeTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  private final EventLoop loop = new EventLoop("block-test");
  private final FakeSandbox vm = new FakeSandbox(loop);
  private final HostFiles files = new HostFiles("web", Optional.empty());

  @BeforeEach
  void makeNodes() throws Exception {
    for (String name : List.of("first", "second")) {
      String minor = name.equals("first") ? "32" : "48";
      Process mknod =
          new ProcessBuilder("mknod", directory.resolve(name).toString(), "b", "254", minor)
              .start();
      assertEquals(0, mknod.waitFor());
    }
  }

  @AfterEach
  void close() {
    files.close();
    vm.close();
    loop.close();
  }

  private ObjectNode device(String name, int minor) throws IOException {
    return (ObjectNode)
        JSON.readTree(
            "{\"path\": \"%s\", \"type\": \"b\", \"major\": 254, \"minor\": %d, \"fileMode\": 432, \"uid\": 7}"
                .formatted(directory.resolve(name), minor));
  }

  private static String rule(int minor, String access) {
    return "{\"allow\": true, \"type\": \"b\", \"major\": 254, \"minor\": %d, \"access\": \"%s\"}"
        .formatted(minor, access);
  }

  @Test
  void disksKeepNameModeAndOwnerAndGetTheGuestsNumbers() throws IOException {
    JsonNode rules =
        JSON.readTree(
            "[{\"allow\": false, \"access\": \"rwm\"}, %s, %s]"
                .formatted(rule(32, "rwm"), rule(48, "r")));
    ObjectNode first = device("first", 32);
    ObjectNode second = device("second", 48);
    List<BlockNode> nodes =
        List.of(BlockNode.open(first, rules, files), BlockNode.open(second, rules, files));
    files.root(new RootFs.Disk(null, "ext4", List.of()));
    files.giveTo(vm);
    assertEquals(
        List.of(
            new DiskConfig(directory.resolve("first"), false),
            new DiskConfig(directory.resolve("second"), true)),
        vm.disks.subList(1, 3));
    // The first disk's number in the guest is that of the second on the host.
    BlockNode.renumber(nodes, List.of(new DiskNumber(254, 48), new DiskNumber(254, 64)), rules);
    assertEquals(48, first.path("minor").asInt());
    assertEquals(64, second.path("minor").asInt());
    assertEquals(432, first.path("fileMode").asInt());
    assertEquals(7, first.path("uid").asInt());
    assertEquals(
        JSON.readTree("[%s, %s]".formatted(rule(48, "rwm"), rule(64, "r"))).toString(),
        JSON.createArrayNode().add(rules.get(1)).add(rules.get(2)).toString());
  }

  @Test
  void aDeviceThatTheHostDoesNotHaveIsNamed() throws IOException {
    ObjectNode wrong = device("first", 33);
    RundException e =
        assertThrows(
            RundException.class, () -> BlockNode.open(wrong, JSON.createArrayNode(), files));
    assertTrue(e.getMessage().contains("/first (254:33): this host has no"), e.getMessage());
  }

  @Test
  void numbersOfNodesAreUnderstoodAsTheKernelWritesThem() {
    assertEquals(new DeviceNumber(8, 1), DeviceNumber.of(0x801));
    assertEquals(new DeviceNumber(259, 4096), DeviceNumber.of(0x1010300L));
  }
}
