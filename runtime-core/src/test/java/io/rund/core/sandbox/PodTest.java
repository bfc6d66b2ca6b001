package io.rund.core.sandbox;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.linux.EventLoop;
import io.rund.core.linux.Libc;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.CreateRequest.StdioPaths;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Pods, with real anchors, and a VM and an agent that do what a test tells them. */
@Timeout(60)
class PodTest {
  private static final String NS = "k8s.io";
  private static final StdioPaths NO_STDIO = new StdioPaths(false, "", "", "");

  @TempDir Path directory;
  private final List<TaskEvent> events = new CopyOnWriteArrayList<>();
  private final List<VmConfig> vms = new CopyOnWriteArrayList<>();
  private EventLoop loop;
  private final FakeNetwork network = new FakeNetwork();
  private FakeSandbox sandbox;
  private SandboxManager manager;
  private int podPid;

  @BeforeAll
  static void buildAnchor() throws Exception {
    NativeBinaries.build();
  }

  @BeforeEach
  void wire() throws IOException {
    loop = new EventLoop("pod-test");
    sandbox = new FakeSandbox(loop);
    Path file = directory.resolve("rund.toml");
    Files.writeString(
        file,
        "clone = false\nanchor = \"%s\"\nannotations = [\"io.rund.vcpus\"]\n"
            .formatted(NativeBinaries.ANCHOR));
    manager =
        new SandboxManager(
            vm -> {
              vms.add(vm);
              return sandbox;
            },
            vm -> CompletableFuture.completedFuture(sandbox),
            network,
            loop,
            RundConfig.read(file, directory),
            events::add);
  }

  @AfterEach
  void close() {
    manager.close();
    loop.close();
  }

  /** A bundle whose specification has these annotations, and these members in "linux". */
  private Path bundle(String id, String annotations, String linux, String others)
      throws IOException {
    Path bundle = Files.createDirectories(directory.resolve(id));
    Files.createDirectories(bundle.resolve("rootfs"));
    Files.writeString(
        bundle.resolve("config.json"),
        "{\"process\": {\"args\": [\"true\"]}, \"annotations\": {%s}, %s\"linux\": {%s}}"
            .formatted(annotations, others, linux));
    return bundle;
  }

  private int create(String id, Path bundle) {
    List<RootfsMount> root =
        List.of(new RootfsMount("bind", bundle.resolve("rootfs").toString(), "", List.of("rbind")));
    return manager.create(new CreateRequest(NS, id, bundle, root, NO_STDIO));
  }

  private static final String OWN =
      "\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"network\", \"path\": \"/proc/self/ns/net\"}]";

  private void createPod(String annotations, String linux) throws IOException {
    createPod(annotations, linux, "");
  }

  private void createPod(String annotations, String linux, String others) throws IOException {
    podPid =
        create(
            "pod",
            bundle(
                "pod",
                "\"io.kubernetes.cri.container-type\": \"sandbox\", \"io.kubernetes.cri.sandbox-id\": \"pod\"%s"
                    .formatted(annotations),
                linux + OWN,
                others));
  }

  private void runPod() throws IOException {
    createPod("", "");
    manager.start(NS, "pod", "");
  }

  private String namespacesOfPod(String pid) {
    return "\"namespaces\": [{\"type\": \"network\", \"path\": \"/proc/%1$d/ns/net\"}, {\"type\": \"ipc\", \"path\": \"/proc/%1$d/ns/ipc\"}, {\"type\": \"uts\", \"path\": \"/proc/%1$d/ns/uts\"}, {\"type\": \"pid\"%2$s}, {\"type\": \"mount\"}]"
        .formatted(podPid, pid);
  }

  private int createMember(String id, String linux, String others) throws IOException {
    return create(
        id,
        bundle(
            id,
            "\"io.kubernetes.cri.container-type\": \"container\", \"io.kubernetes.cri.sandbox-id\": \"pod\"",
            linux,
            others));
  }

  private int runMember(String id) throws IOException {
    int pid = createMember(id, namespacesOfPod(""), "");
    manager.start(NS, id, "");
    return pid;
  }

  private List<String> eventNames() {
    return events.stream()
        .map(event -> event.getClass().getSimpleName() + " " + event.containerId())
        .toList();
  }

  private static boolean lives(int pid) {
    return Files.exists(Path.of("/proc/" + pid));
  }

  private static void eventually(BooleanSupplier condition) throws InterruptedException {
    for (long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        !condition.getAsBoolean(); ) {
      assertTrue(System.nanoTime() < end, "did not happen within 30 s");
      Thread.sleep(5);
    }
  }

  private interface Call {
    void run() throws Exception;
  }

  private static void assertFails(ErrorCode code, String message, Call call) {
    RundException e = assertThrows(RundException.class, call::run);
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void allContainersOfAPodAreInOneVmEachWithAPidOfItsOwn() throws Exception {
    runPod();
    int first = runMember("first");
    int second = runMember("second");
    assertEquals(1, vms.size());
    assertEquals("k8s.io:pod", vms.getFirst().id());
    assertEquals(3, Set.of(podPid, first, second).size());
    assertEquals(
        Files.readSymbolicLink(Path.of("/proc/" + podPid + "/ns/net")),
        Files.readSymbolicLink(Path.of("/proc/" + second + "/ns/net")));
    assertEquals(Set.of("first", "second"), sandbox.inGuest);
    assertEquals(Set.of("first-rootfs", "second-rootfs"), sandbox.openShares());
  }

  @Test
  void aContainerComesAndGoesInAPodThatLives() throws Exception {
    runPod();
    runMember("other");
    List<String> lives = new ArrayList<>();
    for (int round = 0; round < 2; round++) {
      int pid = runMember("app");
      assertEquals(Set.of("other-rootfs", "app-rootfs"), sandbox.openShares());
      sandbox.end("app", "", 3);
      assertEquals(3, manager.await(NS, "app", "").exitStatus());
      assertEquals(3, manager.delete(NS, "app", "").exitStatus());
      assertFalse(lives(pid));
      lives.addAll(List.of("Created app", "Started app", "Exited app", "Deleted app"));
      sandbox.forget("app");
    }
    assertEquals(Set.of("other"), sandbox.inGuest);
    assertEquals(Set.of("other-rootfs"), sandbox.openShares());
    assertFalse(sandbox.closed);
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "other", "").status());
    assertEquals(lives, eventNames().subList(4, events.size()));
  }

  @Test
  void aDiskOfAContainerLeavesWithIt() throws Exception {
    runPod();
    Path bundle =
        bundle(
            "db",
            "\"io.kubernetes.cri.container-type\": \"container\", \"io.kubernetes.cri.sandbox-id\": \"pod\"",
            namespacesOfPod(""),
            "");
    manager.create(
        new CreateRequest(
            NS,
            "db",
            bundle,
            List.of(new RootfsMount("ext4", "/dev/mapper/snap-1", "", List.of())),
            NO_STDIO));
    manager.kill(NS, "db", "", 9, false);
    manager.delete(NS, "db", "");
    assertEquals(List.of(3), sandbox.unplugged);
  }

  @Test
  void thePauseContainerIsRememberedOnly() throws Exception {
    createPod("", "");
    assertEquals(ProcessState.Status.CREATED, manager.state(NS, "pod", "").status());
    manager.start(NS, "pod", "");
    assertEquals(Set.of(), sandbox.inGuest);
    assertEquals(Set.of(), sandbox.openShares());
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "the sandbox of a pod",
        () ->
            manager.exec(
                NS, "pod", "e", "{\"args\": [\"x\"]}".getBytes(StandardCharsets.UTF_8), NO_STDIO));
    assertEquals(5 << 20, manager.stats(NS, "pod").memory().usageBytes());
    assertEquals(256 << 20, manager.stats(NS, "pod").memory().limitBytes());
    assertEquals(3000, manager.stats(NS, "pod").cpu().usageUsec());
    manager.kill(NS, "pod", "", 28, false); // WINCH ends nothing
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "pod", "").status());
    manager.kill(NS, "pod", "", 15, false);
    assertEquals(143, manager.await(NS, "pod", "").exitStatus());
    assertFails(
        ErrorCode.NOT_FOUND, "already finished", () -> manager.kill(NS, "pod", "", 15, false));
    manager.delete(NS, "pod", "");
    assertEquals(List.of("Created pod", "Started pod", "Exited pod", "Deleted pod"), eventNames());
    assertTrue(sandbox.closed);
    assertFalse(lives(podPid));
  }

  @Test
  void aSandboxThatIsDeletedEndsItsContainers() throws Exception {
    runPod();
    int pid = runMember("app");
    assertFails(
        ErrorCode.FAILED_PRECONDITION, "it is running", () -> manager.delete(NS, "pod", ""));
    manager.kill(NS, "pod", "", 9, false);
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "app", "").status());
    manager.delete(NS, "pod", "");
    assertEquals(137, manager.await(NS, "app", "").exitStatus());
    manager.delete(NS, "app", "");
    assertFalse(lives(pid));
    assertTrue(manager.list().isEmpty());
  }

  @Test
  void aSandboxThatDiesEndsItsContainersAndThenItself() throws Exception {
    runPod();
    runMember("app");
    runMember("sidecar");
    kill(podPid);
    assertEquals(137, manager.await(NS, "pod", "").exitStatus());
    assertEquals(
        List.of("Exited sidecar", "Exited app", "Exited pod"),
        eventNames().subList(6, events.size()));
    eventually(() -> sandbox.closed);
    assertFails(ErrorCode.FAILED_PRECONDITION, "", () -> runMember("late"));
  }

  @Test
  void theAnchorOfAContainerEndsThatContainerAlone() throws Exception {
    runPod();
    int app = runMember("app");
    runMember("other");
    kill(app);
    assertEquals(137, manager.await(NS, "app", "").exitStatus());
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "other", "").status());
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "pod", "").status());
  }

  private static void kill(int pid) throws Exception {
    assertEquals(0, new ProcessBuilder("kill", "-9", "" + pid).start().waitFor());
  }

  @Test
  void aContainerThatCannotBeCreatedLeavesNothingInItsPod() throws Exception {
    runPod();
    sandbox.createFailure = RundException.invalid("no such program");
    assertFails(ErrorCode.INVALID_ARGUMENT, "no such program", () -> runMember("app"));
    assertEquals(Set.of(), sandbox.openShares());
    assertEquals(
        1,
        ProcessHandle.current()
            .children()
            .filter(
                child -> child.info().command().orElse("").equals(NativeBinaries.ANCHOR.toString()))
            .count());
    sandbox.createFailure = null;
    runMember("app");
  }

  @Test
  void aContainerThatNeverRanOrIsDestroyedLeavesItsPod() throws Exception {
    runPod();
    createMember("never", namespacesOfPod(""), "");
    manager.delete(NS, "never", "");
    runMember("running");
    assertEquals(137, manager.destroy(NS, "running").exitStatus());
    assertEquals(Set.of(), sandbox.inGuest);
    assertEquals(Set.of(), sandbox.openShares());
    assertEquals(ProcessState.Status.RUNNING, manager.state(NS, "pod", "").status());
  }

  @Test
  void namespacesAreThePods() throws Exception {
    createPod("", "\"sysctl\": {\"net.core.somaxconn\": \"1024\", \"kernel.msgmax\": \"16384\"}, ");
    assertEquals(Map.of("kernel.msgmax", "16384"), sandbox.sysctls);
    manager.start(NS, "pod", "");
    assertEquals(Map.of("net.core.somaxconn", "1024", "kernel.msgmax", "16384"), sandbox.sysctls);
    int own = createMember("own", namespacesOfPod(""), "\"hostname\": \"x\", ");
    assertTrue(
        sandbox.createdSpec.contains(
            "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}]"),
        sandbox.createdSpec);
    assertFalse(sandbox.createdSpec.contains("hostname"), sandbox.createdSpec);
    createMember("shared", namespacesOfPod(", \"path\": \"/proc/" + podPid + "/ns/pid\""), "");
    assertTrue(sandbox.createdSpec.contains("/proc/77/ns/pid"), sandbox.createdSpec);
    createMember("debug", namespacesOfPod(", \"path\": \"/proc/" + own + "/ns/pid\""), "");
    assertTrue(sandbox.createdSpec.contains("/proc/101/ns/pid"), sandbox.createdSpec);
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "pid namespace /proc/1/ns/pid is the host's",
        () -> createMember("bad", namespacesOfPod(", \"path\": \"/proc/1/ns/pid\""), ""));
  }

  @Test
  void sharedMemoryIsOneForThePod() throws Exception {
    runPod();
    Path shm = Files.createDirectory(directory.resolve("shm"));
    Libc.mount("shm", shm.toString(), "tmpfs", 0, "size=1m");
    try {
      createMember(
          "app",
          namespacesOfPod(""),
          "\"mounts\": [{\"destination\": \"/dev/shm\", \"type\": \"bind\", \"source\": \"%s\", \"options\": [\"rbind\", \"ro\"]}], "
              .formatted(shm));
      assertEquals(1 << 20, sandbox.sharedMemories.getFirst().bytes());
      assertTrue(
          sandbox.createdSpec.contains(
              "\"source\":\"/run/rund/.shm/%s\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"rbind\",\"ro\"]"
                  .formatted(sandbox.sharedMemories.getFirst().name())),
          sandbox.createdSpec);
      assertEquals(Set.of("app-rootfs"), sandbox.openShares());
    } finally {
      Libc.umount2(shm.toString(), 2);
    }
  }

  @Test
  void twoFileSystemsOfTheHostAreTwoSharedMemories() throws Exception {
    runPod();
    Map<String, Long> sizes = Map.of("1m", 1L << 20, "4m", 4L << 20, "0", 0L);
    Set<String> names = new HashSet<>();
    List<Path> mounted = new ArrayList<>();
    try {
      for (String size : sizes.keySet()) {
        Path shm = Files.createDirectory(directory.resolve("shm-" + size));
        Libc.mount("shm", shm.toString(), "tmpfs", 0, "size=" + size);
        mounted.add(shm);
        createMember(
            "app-" + size,
            namespacesOfPod(""),
            "\"mounts\": [{\"destination\": \"/dev/shm\", \"type\": \"bind\", \"source\": \"%s\"}], "
                .formatted(shm));
        assertEquals(sizes.get(size), sandbox.sharedMemories.getFirst().bytes());
        names.add(sandbox.sharedMemories.getFirst().name());
      }
    } finally {
      mounted.forEach(shm -> Libc.umount2(shm.toString(), 2));
    }
    assertEquals(sizes.size(), names.size(), names::toString);
  }

  @Test
  void filesOfASandboxWithoutPauseContainerAreThoseOfItsContainersToo() throws Exception {
    Path file = Files.writeString(directory.resolve("resolv.conf"), "nameserver 10.96.0.10");
    String mount = "{\"destination\": \"%s\", \"type\": \"%s\", \"source\": \"%s\"}";
    String tmpfs = mount.formatted("/dev/shm", "tmpfs", "shm");
    createPod(
        "",
        "",
        "\"mounts\": [%s, %s], "
            .formatted(mount.formatted("/etc/resolv.conf", "bind", file), tmpfs));
    manager.start(NS, "pod", "");
    createMember("app", namespacesOfPod(""), "\"mounts\": [%s], ".formatted(tmpfs));
    assertEquals(Set.of("app-rootfs", "app-shared-0"), sandbox.openShares());
    assertTrue(
        sandbox.createdSpec.contains(
            "{\"destination\":\"/etc/resolv.conf\",\"type\":\"bind\",\"source\":\"/run/rund/.shares/app-shared-0\",\"options\":[\"rw\"]}"),
        sandbox.createdSpec);
    assertEquals("pod", sandbox.sharedMemories.getFirst().name());
    assertTrue(sandbox.createdSpec.contains("/run/rund/.shm/pod"), sandbox.createdSpec);
    manager.destroy(NS, "app");

    Path shm = Files.createDirectory(directory.resolve("shm"));
    Libc.mount("shm", shm.toString(), "tmpfs", 0, "size=1m");
    try {
      String bind = mount.formatted("/dev/shm", "bind", shm);
      createMember("two", namespacesOfPod(""), "\"mounts\": [%s, %s], ".formatted(tmpfs, bind));
      assertEquals(2, sandbox.sharedMemories.size(), "that which is covered is mounted, too");
      manager.destroy(NS, "two");
    } finally {
      Libc.umount2(shm.toString(), 2);
    }

    String own = mount.formatted("/etc/resolv.conf", "bind", file) + ", ";
    createMember("own", namespacesOfPod(""), "\"mounts\": [%s%s], ".formatted(own, tmpfs));
    assertEquals(Set.of("own-rootfs", "own-shared-2"), sandbox.openShares());
  }

  @Test
  void theVmHasTheSizeOfThePodsLimits() throws Exception {
    createPod(
        ", \"io.kubernetes.cri.sandbox-memory\": \"134217728\", \"io.kubernetes.cri.sandbox-cpu-quota\": \"0\", \"io.kubernetes.cri.sandbox-cpu-period\": \"100000\", \"io.rund.vcpus\": \"5\"",
        "");
    assertEquals((128 + 64) << 20, vms.getFirst().memoryBytes());
    assertEquals(5, vms.getFirst().vcpus());
  }

  @Test
  void annotationsThatAreNotAllowedOrMakeNoSenseAreRefused() {
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "annotation io.rund.memory: this node allows [io.rund.vcpus]",
        () -> createPod(", \"io.rund.memory\": \"512MiB\"", ""));
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "a whole number from 1 to 64",
        () -> createPod(", \"io.rund.vcpus\": \"many\"", ""));
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "\"lots\", which is no number",
        () -> createPod(", \"io.kubernetes.cri.sandbox-memory\": \"lots\"", ""));
    assertTrue(manager.list().isEmpty());
  }

  @Test
  void aMemberOfWhatIsNoPodIsRefused() throws Exception {
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "the pod's sandbox pod is not in this engine",
        () -> runMember("app"));
    create("pod", bundle("pod", "", OWN, ""));
    assertFails(ErrorCode.FAILED_PRECONDITION, "not the sandbox of a pod", () -> runMember("app"));
  }

  @Test
  void limitsAreChangedInTheGuestAsFarAsTheVmGoes() throws Exception {
    createPod(", \"io.kubernetes.cri.sandbox-memory\": \"134217728\"", "");
    runMember("app");
    update("{\"memory\": {\"limit\": 134217728}, \"cpu\": {\"shares\": 2, \"cpus\": \"3\"}}");
    assertEquals(
        List.of("app {\"memory\":{\"limit\":134217728},\"cpu\":{\"shares\":2}}"), sandbox.updates);
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "made with memory for a limit of 134217728",
        () -> update("{\"memory\": {\"limit\": 134217729}}"));
    assertFails(ErrorCode.INVALID_ARGUMENT, "not valid JSON", () -> update("{"));
  }

  @Test
  void moreCpusThanTheVmHasAreRefused() throws Exception {
    createPod(", \"io.kubernetes.cri.sandbox-cpu-quota\": \"100000\"", "");
    runMember("app");
    update("{\"cpu\": {\"quota\": 100000, \"period\": 100000}}");
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "was made with 1 vCPUs and cannot grow",
        () -> update("{\"cpu\": {\"quota\": 400000, \"period\": 100000}}"));
    assertEquals(1, sandbox.updates.size(), sandbox.updates::toString);
  }

  @Test
  void aVolumeOfTwoContainersIsOneShareAndStaysWithTheSecond() throws Exception {
    Path volume = Files.createDirectory(directory.resolve("volume"));
    String mounts =
        "\"mounts\": [{\"destination\": \"/v\", \"type\": \"bind\", \"source\": \"%s\"}], "
            .formatted(volume);
    runPod();
    createMember("one", namespacesOfPod(""), mounts);
    createMember("two", namespacesOfPod(""), mounts);
    assertEquals(Set.of("one-rootfs", "two-rootfs", "one-shared-0"), sandbox.openShares());
    assertTrue(sandbox.createdSpec.contains(".shares/one-shared-0"), sandbox.createdSpec);
    manager.destroy(NS, "one");
    assertEquals(Set.of("two-rootfs", "one-shared-0"), sandbox.openShares());
    String refused =
        mounts.replace(
            "}]", "}, {\"destination\": \"/p\", \"type\": \"bind\", \"source\": \"/proc\"}]");
    assertFails(
        ErrorCode.INVALID_ARGUMENT,
        "it shows the host's kernel",
        () -> createMember("bad", namespacesOfPod(""), refused));
    manager.destroy(NS, "two");
    assertEquals(Set.of(), sandbox.openShares());
  }

  @Test
  void withoutALimitOfCpusThePodHasThoseThatItRequests() throws Exception {
    createPod(", \"io.kubernetes.cri.sandbox-cpu-shares\": \"2049\"", "");
    int host = Runtime.getRuntime().availableProcessors();
    assertEquals(Math.min(3, host), manager.info(NS, "pod").vcpus());
  }

  @Test
  void aMemoryLimitThatThePodsVmCannotGiveIsRefused() throws Exception {
    createPod(", \"io.kubernetes.cri.sandbox-memory\": \"134217728\"", "");
    String limit = "\"resources\": {\"memory\": {\"limit\": %d}}, ";
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "the VM of its pod has 201326592 bytes; raise the limit of the pod",
        () -> createMember("app", limit.formatted(201326593) + namespacesOfPod(""), ""));
    assertEquals(Set.of(), sandbox.openShares());
    createMember("app", limit.formatted(201326592) + namespacesOfPod(""), "");
    assertFails(
        ErrorCode.FAILED_PRECONDITION,
        "its sandbox was made with memory for a limit of 134217728",
        () ->
            manager.update(
                NS,
                "pod",
                "{\"memory\": {\"limit\": 134217729}}".getBytes(StandardCharsets.UTF_8)));
  }

  private void update(String resources) {
    manager.update(NS, "app", resources.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void wantOfMemoryIsReportedBeforeTheExit() throws Exception {
    runPod();
    runMember("app");
    sandbox.ooms.get("app").complete(1L);
    sandbox.end("app", "", 137);
    assertNotEquals(0, manager.await(NS, "app", "").exitStatus());
    assertEquals(List.of("OutOfMemory app", "Exited app"), eventNames().subList(4, events.size()));
  }
}
