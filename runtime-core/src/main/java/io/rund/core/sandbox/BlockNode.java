package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.jna.LastErrorException;
import io.rund.core.agent.GuestAgent.DiskNumber;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.DiskConfig;
import io.rund.core.sandbox.HostFile.DeviceNumber;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A block device of the host in linux.devices: a disk of the sandbox, whose node in the container
 * has the name, mode and owner that the specification says, and the guest's numbers.
 *
 * @param node the entry of linux.devices
 * @param host the device's numbers on the host
 */
record BlockNode(ObjectNode node, DeviceNumber host) {
  /**
   * Finds the device and adds the disk to {@code files}.
   *
   * @param rules linux.resources.devices: what the container may do with the device
   * @throws RundException INVALID_ARGUMENT if the host has no such device
   */
  static BlockNode open(ObjectNode node, JsonNode rules, HostFiles files) {
    DeviceNumber number = new DeviceNumber(node.path("major").asInt(), node.path("minor").asInt());
    Path path =
        find(node.path("path").asText(), number)
            .orElseThrow(
                () ->
                    RundException.invalid(
                        "device %s (%s): this host has no such block device"
                            .formatted(node.path("path").asText("?"), number)));
    boolean readOnly = !mayWrite(rules, number) || isReadOnly(number);
    var _ = files.plug(new DiskConfig(path, readOnly));
    return new BlockNode(node, number);
  }

  /** By the container's path for it, which often is the host's too, or by the kernel's name. */
  private static Optional<Path> find(String path, DeviceNumber number) {
    return List.of(Path.of(path), kernelName(number)).stream()
        .filter(candidate -> isNode(candidate, number))
        .findFirst();
  }

  private static boolean isNode(Path path, DeviceNumber number) {
    try (HostFile file = HostFile.open(path.toString())) {
      return file.kind() == HostFile.Kind.BLOCK_DEVICE && file.device().equals(number);
    } catch (LastErrorException e) {
      return false;
    }
  }

  /** /sys/dev/block/MAJOR:MINOR is a link to the device's directory. */
  private static Path kernelName(DeviceNumber number) {
    try {
      return Path.of("/dev").resolve(sysfs(number).toRealPath().getFileName());
    } catch (IOException e) {
      return Path.of("/dev", number.toString());
    }
  }

  private static Path sysfs(DeviceNumber number) {
    return Path.of("/sys/dev/block", number.toString());
  }

  private static boolean isReadOnly(DeviceNumber number) {
    try {
      return Files.readString(sysfs(number).resolve("ro")).strip().equals("1");
    } catch (IOException e) {
      return false; // a partition of a device that is gone: opening it will tell
    }
  }

  /** The last rule that fits counts; without one it is the executor's business, as ever. */
  private static boolean mayWrite(JsonNode rules, DeviceNumber number) {
    boolean may = true;
    for (JsonNode rule : rules) {
      if (isFor(rule, number)) {
        may = rule.path("allow").asBoolean() && rule.path("access").asText("rwm").contains("w");
      }
    }
    return may;
  }

  private static boolean isFor(JsonNode rule, DeviceNumber number) {
    return rule.path("type").asText().equals("b")
        && rule.path("major").asInt(-1) == number.major()
        && rule.path("minor").asInt(-1) == number.minor();
  }

  /** Puts the guest's numbers into the node. */
  private void renumber(DiskNumber guest) {
    node.put("major", guest.major()).put("minor", guest.minor());
  }

  /** Puts the guest's numbers into all nodes and into the rules about them. */
  static void renumber(List<BlockNode> nodes, List<DiskNumber> guest, JsonNode rules) {
    for (JsonNode rule : rules) {
      for (int i = 0; i < nodes.size(); i++) {
        if (isFor(rule, nodes.get(i).host())) {
          ((ObjectNode) rule).put("major", guest.get(i).major()).put("minor", guest.get(i).minor());
          break; // numbers of the guest may be those of another device of the host
        }
      }
    }
    for (int i = 0; i < nodes.size(); i++) {
      nodes.get(i).renumber(guest.get(i));
    }
  }
}
