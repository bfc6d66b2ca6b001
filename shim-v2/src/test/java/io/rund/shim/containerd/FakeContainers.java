package io.rund.shim.containerd;

import io.rund.core.agent.ContainerStats;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Pool;
import io.rund.core.sandbox.ContainerService;
import io.rund.core.sandbox.CreateRequest;
import io.rund.core.sandbox.ProcessState;
import io.rund.core.sandbox.ProcessState.Status;
import io.rund.core.sandbox.RestoredContainer;
import io.rund.core.sandbox.SandboxFootprint;
import io.rund.core.sandbox.SandboxInfo;
import io.rund.core.sandbox.Timeline;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** Containers that are only remembered. A kill ends a process with status 128 + signal. */
public final class FakeContainers implements ContainerService {
  public static final int PID = 4711;
  private static final long EXITED_AT = 1_234_567_890_123_456_789L;

  /** What was called that leaves no state behind. */
  public final List<String> calls = new CopyOnWriteArrayList<>();

  private final Map<String, ProcessState> processes = new ConcurrentSkipListMap<>();

  private static String key(String namespace, String id, String execId) {
    return namespace + "/" + id + "/" + execId;
  }

  private ProcessState get(String namespace, String id, String execId) {
    ProcessState state = processes.get(key(namespace, id, execId));
    if (state == null) {
      throw RundException.notFound("no process %s of container %s".formatted(execId, id));
    }
    return state;
  }

  private synchronized ProcessState update(
      String namespace, String id, String execId, Status status, int exitStatus) {
    ProcessState old = get(namespace, id, execId);
    ProcessState state =
        new ProcessState(
            id,
            execId,
            old.bundle(),
            PID,
            status,
            old.stdio(),
            exitStatus,
            status == Status.STOPPED ? EXITED_AT : 0);
    processes.put(key(namespace, id, execId), state);
    notifyAll();
    return state;
  }

  @Override
  public int create(CreateRequest request, CompletableFuture<Void> abandoned) {
    ProcessState state =
        new ProcessState(
            request.id(),
            "",
            request.bundle().toString(),
            PID,
            Status.CREATED,
            request.stdio(),
            0,
            0);
    if (processes.putIfAbsent(key(request.namespace(), request.id(), ""), state) != null) {
      throw new RundException(ErrorCode.ALREADY_EXISTS, request.id() + " exists");
    }
    calls.add("create " + request.rootfs());
    return PID;
  }

  @Override
  public int start(String namespace, String id, String execId) {
    return update(namespace, id, execId, Status.RUNNING, 0).pid();
  }

  @Override
  public void exec(
      String namespace,
      String id,
      String execId,
      byte[] processJson,
      CreateRequest.StdioPaths stdio) {
    String bundle = get(namespace, id, "").bundle();
    calls.add("exec " + new String(processJson, StandardCharsets.UTF_8));
    processes.put(
        key(namespace, id, execId),
        new ProcessState(id, execId, bundle, PID, Status.CREATED, stdio, 0, 0));
  }

  @Override
  public ProcessState state(String namespace, String id, String execId) {
    return get(namespace, id, execId);
  }

  @Override
  public void kill(String namespace, String id, String execId, int signal, boolean all) {
    var _ = update(namespace, id, execId, Status.STOPPED, 128 + signal);
    calls.add("kill " + signal + " " + all);
  }

  @Override
  public synchronized ProcessState await(String namespace, String id, String execId)
      throws InterruptedException {
    while (get(namespace, id, execId).status() != Status.STOPPED) {
      wait();
    }
    return get(namespace, id, execId);
  }

  @Override
  public ProcessState delete(String namespace, String id, String execId) {
    ProcessState state = get(namespace, id, execId);
    if (state.status() == Status.RUNNING) {
      throw RundException.precondition(id + " is running");
    }
    processes.remove(key(namespace, id, execId));
    return state;
  }

  @Override
  public List<ProcessState> processes(String namespace, String id) {
    ProcessState init = get(namespace, id, "");
    List<ProcessState> all = new ArrayList<>(List.of(init));
    String prefix = key(namespace, id, "");
    processes.forEach(
        (key, state) -> {
          if (key.startsWith(prefix) && !state.execId().isEmpty()) {
            all.add(state);
          }
        });
    return all;
  }

  @Override
  public void closeStdin(String namespace, String id, String execId) {
    calls.add("closeStdin " + get(namespace, id, execId).execId());
  }

  @Override
  public void resizeTerminal(String namespace, String id, String execId, int rows, int columns) {
    calls.add("resize " + get(namespace, id, execId).execId() + " " + rows + "x" + columns);
  }

  @Override
  public void pause(String namespace, String id) {
    var _ = update(namespace, id, "", Status.PAUSED, 0);
  }

  @Override
  public void resume(String namespace, String id) {
    var _ = update(namespace, id, "", Status.RUNNING, 0);
  }

  @Override
  public void update(String namespace, String id, byte[] resourcesJson) {
    var _ = get(namespace, id, "");
    calls.add("update " + new String(resourcesJson, StandardCharsets.UTF_8));
  }

  @Override
  public ContainerStats stats(String namespace, String id) {
    var _ = get(namespace, id, "");
    return new ContainerStats(
        new ContainerStats.Cpu(100, 60, 40, 5, 1, 7),
        new ContainerStats.Memory(1 << 20, -1L, 2 << 20, 0, 0, 0),
        Map.of("anon", 4096L, "pgfault", 12L, "not_known_to_containerd", 1L),
        Map.of("oom_kill", 2L),
        3,
        -1L,
        List.of(new ContainerStats.Io(253, 1, 10, 20, 30, 40)));
  }

  @Override
  public ProcessState destroy(String namespace, String id) {
    calls.add("destroy " + namespace + "/" + id);
    ProcessState state = get(namespace, id, "");
    processes.keySet().removeIf(key -> key.startsWith(key(namespace, id, "")));
    return new ProcessState(
        id, "", state.bundle(), PID, Status.STOPPED, state.stdio(), 137, EXITED_AT);
  }

  /** The process that runs the tests is the anchor of all. */
  @Override
  public List<SandboxFootprint> footprints() {
    int self = (int) ProcessHandle.current().pid();
    return list().stream()
        .map(
            info ->
                new SandboxFootprint(
                    info.namespace(),
                    info.id(),
                    info.vcpus(),
                    info.memoryBytes(),
                    236L << 20,
                    218L << 20,
                    List.of(),
                    List.of(self)))
        .toList();
  }

  @Override
  public List<Pool> pools() {
    return List.of(new Pool("vm", 1, 2));
  }

  @Override
  public SandboxInfo info(String namespace, String id) {
    return list().stream()
        .filter(info -> info.namespace().equals(namespace) && info.id().equals(id))
        .findFirst()
        .orElseThrow(() -> RundException.notFound("no container " + id));
  }

  @Override
  public List<String> namespaces(String id) {
    return list().stream()
        .filter(info -> info.id().equals(id))
        .map(SandboxInfo::namespace)
        .toList();
  }

  @Override
  public List<SandboxInfo> list() {
    List<SandboxInfo> all = new ArrayList<>();
    processes.forEach(
        (key, state) -> {
          if (state.execId().isEmpty()) {
            String namespace = key.substring(0, key.indexOf('/'));
            all.add(
                new SandboxInfo(
                    namespace,
                    state.containerId(),
                    PID,
                    state.status(),
                    2,
                    256 << 20,
                    1_700_000_000_000_000_000L,
                    "6.1.0-rund"));
          }
        });
    return all;
  }

  @Override
  public Timeline timeline(String namespace, String id) {
    var _ = get(namespace, id, "");
    Timeline timeline = new Timeline(0);
    timeline.phase("vm", 0, 3_000_000);
    timeline.phase("kernel", 2_000_000, 90_000_000);
    timeline.phase("container", 90_000_000, 120_000_000);
    return timeline;
  }

  @Override
  public void snapshot(String namespace, String id, Path target) {
    calls.add("snapshot " + target);
  }

  @Override
  public int restore(Path source, RestoredContainer made, CompletableFuture<Void> abandoned) {
    calls.add("restore " + source + " as " + made.id());
    return PID;
  }

  @Override
  public int clone(
      String namespace, String id, RestoredContainer made, CompletableFuture<Void> abandoned) {
    calls.add(
        "clone %s as %s to %s in %s"
            .formatted(
                id,
                made.id(),
                made.stdio().stdout(),
                made.network().map(Path::toString).orElse("none")));
    return PID;
  }

  @Override
  public int run(
      String namespace,
      String id,
      List<String> arguments,
      CreateRequest.StdioPaths stdio,
      CompletableFuture<Void> abandoned) {
    try {
      var _ = Files.writeString(Path.of(stdio.stdout()), String.join("+", arguments));
      var _ = Files.writeString(Path.of(stdio.stderr()), "trouble");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return 7;
  }

  @Override
  public ProcessState remove(String namespace, String id) {
    calls.add("remove " + id);
    return get(namespace, id, "");
  }
}
