package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CpuShareTest {
  @TempDir Path bundle;

  private OciSpec spec(String members) throws IOException {
    Files.writeString(
        bundle.resolve("config.json"),
        "{\"process\": {\"args\": [\"true\"]}, %s}".formatted(members));
    return OciSpec.read(bundle);
  }

  private static JsonNode json(String text) throws IOException {
    return new ObjectMapper().readTree(text);
  }

  private static CpuShare share(long quota, long shares) {
    return new CpuShare(OptionalLong.of(quota), shares);
  }

  @Test
  void aContainersAreThoseOfItsSpecification() throws Exception {
    String cpu = "\"linux\": {\"resources\": {\"cpu\": {%s}}}";
    assertEquals(CpuShare.FREE, CpuShare.of(spec("\"linux\": {}")));
    assertEquals(
        share(150_000, 512),
        CpuShare.of(spec(cpu.formatted("\"quota\": 75000, \"period\": 50000, \"shares\": 512"))));
    assertEquals(CpuShare.FREE, CpuShare.of(spec(cpu.formatted("\"quota\": -1, \"shares\": 0"))));
  }

  @Test
  void aPodsAreTheSumsThatItIsAnnotatedWith() throws Exception {
    String sums =
        "\"annotations\": {\"io.kubernetes.cri.container-type\": \"sandbox\", \"io.kubernetes.cri.sandbox-cpu-quota\": \"%s\", \"io.kubernetes.cri.sandbox-cpu-period\": \"100000\", \"io.kubernetes.cri.sandbox-cpu-shares\": \"2048\"}";
    assertEquals(share(250_000, 2048), CpuShare.of(spec(sums.formatted("250000"))));
    assertEquals(new CpuShare(OptionalLong.empty(), 2048), CpuShare.of(spec(sums.formatted("0"))));
  }

  @Test
  void anUpdateChangesWhatItNames() throws Exception {
    CpuShare before = share(50_000, 512);
    assertEquals(share(50_000, 700), before.with(json("{\"shares\": 700}")));
    assertEquals(share(200_000, 512), before.with(json("{\"quota\": 20000, \"period\": 10000}")));
    assertEquals(new CpuShare(OptionalLong.empty(), 512), before.with(json("{\"quota\": -1}")));
  }

  @Test
  void aPodGrowsAndShrinksWithItsContainers() {
    CpuShare pod = share(150_000, 1536);
    assertEquals(share(200_000, 2048), pod.changed(share(50_000, 512), share(100_000, 1024)));
    assertEquals(share(1000, 1026), pod.changed(share(200_000, 512), share(1000, 2)));
    assertEquals(
        new CpuShare(OptionalLong.empty(), 1536),
        pod.changed(share(1, 2), new CpuShare(OptionalLong.empty(), 2)));
    assertEquals(
        new CpuShare(OptionalLong.empty(), 1537),
        new CpuShare(OptionalLong.empty(), 1536).changed(share(1, 2), share(7, 3)));
  }

  @Test
  void aPodWithAContainerWithoutAQuotaHasNone() {
    assertEquals(
        new CpuShare(OptionalLong.empty(), 1536), share(150_000, 1536).withMember(CpuShare.FREE));
    assertEquals(share(150_000, 1536), share(150_000, 1536).withMember(share(1000, 2)));
  }

  @Test
  void sharesAreWeightsAsRuncConvertsThem() {
    assertEquals(1, share(1000, 2).weight());
    assertEquals(39, share(1000, 1024).weight());
    assertEquals(10_000, share(1000, 262_144).weight());
  }

  @Test
  void theGuestItselfHasATenthOfACpu() {
    assertEquals(share(60_000, 512), share(50_000, 512).withOverhead());
    assertEquals(CpuShare.FREE, CpuShare.FREE.withOverhead());
  }
}
