package io.rund.core.sandbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import java.io.IOException;
import java.util.List;

/** linux.resources as the guest's executor applies them. */
final class GuestResources {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Numbers of the host's CPUs and memory nodes, which say nothing of the guest's. */
  private static final List<String> HOST_CPUS = List.of("cpus", "mems");

  /** What an update cannot change in a sandbox: rules about devices with the host's numbers. */
  private static final List<String> HOST_DEVICES = List.of("devices", "blockIO", "rdma", "network");

  private GuestResources() {}

  /**
   * Takes out of {@code resources} what is about the host.
   *
   * @throws RundException INVALID_ARGUMENT for huge pages
   */
  static void adapt(JsonNode resources) {
    if (resources.path("cpu") instanceof ObjectNode cpu) {
      cpu.remove(HOST_CPUS);
    }
    for (JsonNode each : resources.path("hugepageLimits")) {
      if (each.path("limit").asLong() > 0) {
        throw RundException.invalid(
            "a limit of %s bytes of huge pages of %s: a sandbox has none to give; leave it out"
                .formatted(each.path("limit").asText(), each.path("pageSize").asText()));
      }
    }
    if (resources instanceof ObjectNode all) {
      // Limits of nothing; the guest's kernel may not know the sizes.
      all.remove("hugepageLimits");
    }
  }

  /**
   * The resources of an update, for the guest.
   *
   * @param most the largest memory limit, in bytes, that means something in this sandbox
   * @throws RundException INVALID_ARGUMENT for what is no JSON object, FAILED_PRECONDITION for a
   *     memory limit that the VM cannot give
   */
  static ObjectNode update(String containerId, byte[] resourcesJson, long most) {
    JsonNode parsed;
    try {
      parsed = JSON.readTree(resourcesJson);
    } catch (IOException e) {
      throw new RundException(
          ErrorCode.INVALID_ARGUMENT, "the new resources are not valid JSON: " + e.getMessage(), e);
    }
    if (!(parsed instanceof ObjectNode resources)) {
      throw RundException.invalid("the new resources are not a JSON object");
    }
    long limit = resources.path("memory").path("limit").asLong();
    if (limit > most) {
      throw RundException.precondition(
          "memory limit of %d bytes for %s: its sandbox was made with memory for a limit of %d and cannot grow; raise the limit of the pod and start it anew"
              .formatted(limit, containerId, most));
    }
    adapt(resources);
    resources.remove(HOST_DEVICES);
    return resources;
  }

  static byte[] write(ObjectNode resources) {
    try {
      return JSON.writeValueAsBytes(resources);
    } catch (JsonProcessingException e) {
      throw RundException.internal("cannot write the new resources: " + e.getMessage(), e);
    }
  }
}
