package io.rund.core.sandbox;

import io.rund.core.agent.AgentConnector;
import io.rund.core.agent.ContainerStats;
import io.rund.core.config.RundConfig;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.Pool;
import io.rund.core.linux.EventLoop;
import io.rund.core.network.PodNetwork;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Owns every container of the engine. No lock is shared between sandboxes. */
public final class SandboxManager implements ContainerService, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SandboxManager.class);

  private record Key(String namespace, String id) {}

  /**
   * A container, or one that is being made.
   *
   * @param created completes when the container exists
   * @param givenUp completes when nobody wants it any more
   * @param ending whether somebody lets go of what it holds, or has
   * @param ended completes with the init's last state when it holds nothing any more
   */
  private record Creation(
      CompletableFuture<Container> created,
      CompletableFuture<Void> givenUp,
      AtomicBoolean ending,
      CompletableFuture<ProcessState> ended) {
    Creation() {
      this(
          new CompletableFuture<>(),
          new CompletableFuture<>(),
          new AtomicBoolean(),
          new CompletableFuture<>());
    }
  }

  /**
   * How long the last state of a deleted container is kept. containerd's CRI plugin gives a
   * deletion ten seconds, then asks again after one, two, four...
   */
  private static final Duration REMEMBERED = Duration.ofMinutes(2);

  /** No sandbox has come or gone for so long: the next ones are not expected at once. */
  private static final Duration QUIET = Duration.ofSeconds(10);

  /** How late a step of the host's clock may come to guests. */
  private static final Duration CLOCK_PERIOD = Duration.ofMinutes(1);

  /** What could not be made, and what was deleted, is removed. */
  private final Map<Key, Creation> containers = new ConcurrentHashMap<>();

  /** Last states of those that were deleted, until {@link #destroy}, or for a while. */
  private final Map<Key, ProcessState> deleted = new ConcurrentHashMap<>();

  private final Hypervisor hypervisor;
  private final SandboxBoot boot;
  private final ContainerMaker maker;
  private final Snapshots snapshots;
  private final CpuGroups cpus;
  private final RundConfig config;
  private final EngineMemory memory = new EngineMemory(QUIET);
  private final GuestClocks clocks = new GuestClocks(CLOCK_PERIOD, this::sandboxes);

  /** {@code loop} serves the anchors; the VMs have loops of their own. */
  public SandboxManager(
      Hypervisor hypervisor,
      AgentConnector connector,
      PodNetwork network,
      EventLoop loop,
      RundConfig config,
      EventSink events) {
    this.hypervisor = hypervisor;
    this.cpus = CpuGroups.open(Path.of("/sys/fs/cgroup"));
    this.boot = new SandboxBoot(hypervisor, connector, network, loop, cpus, config);
    this.maker = new ContainerMaker(boot, events);
    this.snapshots = new Snapshots(boot, maker);
    this.config = config;
    var _ = Thread.startVirtualThread(snapshots::sweep);
  }

  @Override
  public int create(CreateRequest request, CompletableFuture<Void> abandoned) {
    return make(
        new Key(request.namespace(), request.id()),
        givenUp -> maker.make(request, id -> pod(request.namespace(), id), givenUp),
        abandoned);
  }

  private int make(
      Key key,
      Function<CompletableFuture<Void>, Container> making,
      CompletableFuture<Void> abandoned) {
    Creation creation = new Creation();
    if (containers.putIfAbsent(key, creation) != null) {
      throw new RundException(
          ErrorCode.ALREADY_EXISTS, "container %s exists already".formatted(key.id()));
    }
    deleted.remove(key);
    var _ = abandoned.thenRun(() -> creation.givenUp().complete(null));
    try {
      Container container = making.apply(creation.givenUp());
      creation.created().complete(container);
      return container.pid();
    } catch (Throwable e) {
      // An Error too, such as a host without threads: a deletion waits for the creation's end.
      log.warn("container {} could not be created: {}", key.id(), e.getMessage());
      containers.remove(key, creation);
      creation.created().completeExceptionally(e);
      throw e;
    } finally {
      memory.changed();
    }
  }

  private Sandbox pod(String namespace, String sandboxId) {
    Container container;
    try {
      container = container(namespace, sandboxId);
    } catch (RundException e) {
      throw new RundException(
          ErrorCode.FAILED_PRECONDITION,
          "the pod's sandbox %s is not in this engine: %s".formatted(sandboxId, e.getMessage()),
          e);
    }
    if (container.kind() != Container.Kind.POD_SANDBOX) {
      throw RundException.precondition(
          "%s is not the sandbox of a pod (annotation %s)".formatted(sandboxId, PodRole.TYPE));
    }
    return container.sandbox();
  }

  @Override
  public int start(String namespace, String id, String execId) {
    Container container = container(namespace, id);
    container.start(execId);
    return container.pid();
  }

  @Override
  public void exec(
      String namespace,
      String id,
      String execId,
      byte[] processJson,
      CreateRequest.StdioPaths stdio) {
    container(namespace, id).exec(execId, processJson, stdio);
  }

  /** What is being created is not found: containerd asks while it lists, and takes errors ill. */
  @Override
  public ProcessState state(String namespace, String id, String execId) {
    Key key = new Key(namespace, id);
    Creation creation = containers.get(key);
    if (creation != null && creation.created().state() == Future.State.SUCCESS) {
      return creation.created().resultNow().process(execId).state();
    }
    return deleted(key, execId)
        .orElseThrow(() -> RundException.notFound("there is no container " + id));
  }

  private Optional<ProcessState> deleted(Key key, String execId) {
    return Optional.ofNullable(deleted.get(key)).filter(_ -> execId.isEmpty());
  }

  @Override
  public void kill(String namespace, String id, String execId, int signal, boolean all) {
    container(namespace, id).kill(execId, signal, all);
  }

  @Override
  public ProcessState await(String namespace, String id, String execId)
      throws InterruptedException {
    Optional<ProcessState> last = deleted(new Key(namespace, id), execId);
    return last.isPresent() ? last.get() : container(namespace, id).process(execId).await();
  }

  /** Is answered a second time as it was the first: the first answer may have come too late. */
  @Override
  public ProcessState delete(String namespace, String id, String execId) {
    Key key = new Key(namespace, id);
    Optional<ProcessState> before = deleted(key, execId);
    if (before.isPresent()) {
      return before.get();
    }
    Creation creation = creation(namespace, id);
    Container container = creation.created().resultNow();
    if (!execId.isEmpty()) {
      return container.deleteExec(execId);
    }
    assertContainerds(container);
    container.process("").assertDeletable();
    return end(key, creation, true);
  }

  /**
   * Whoever did not get the answer asks again, and takes what is unknown then for gone: containerd
   * would keep the bundle and the connection for ever.
   */
  private void remember(Key key, ProcessState last) {
    deleted.put(key, last);
    CompletableFuture.delayedExecutor(REMEMBERED.toSeconds(), TimeUnit.SECONDS)
        .execute(() -> deleted.remove(key, last));
  }

  /** containerd cleans up after a creation of its own that was refused, since the id is taken. */
  private static void assertContainerds(Container container) {
    if (container.isRunds()) {
      throw RundException.notFound(
          "container %s is none of containerd's; `rund remove` ends it"
              .formatted(container.request().id()));
    }
  }

  @Override
  public ProcessState destroy(String namespace, String id) {
    return destroy(new Key(namespace, id), SandboxManager::assertContainerds);
  }

  private ProcessState destroy(Key key, Consumer<Container> allowed) {
    String id = key.id();
    ProcessState before = deleted.remove(key);
    Creation creation = containers.get(key);
    if (creation == null) {
      return Optional.ofNullable(before)
          .orElseThrow(() -> RundException.notFound("there is no container " + id));
    }
    creation.givenUp().complete(null);
    Container container;
    try {
      container = creation.created().join();
    } catch (CompletionException e) {
      throw RundException.notFound("container " + id + " could not be created");
    }
    allowed.accept(container);
    container.lost();
    return end(key, creation, false);
  }

  /**
   * The one way out of a container's life: lets go of all that it holds. It is known until then;
   * whoever comes second waits for the first, and has the same answer. The first alone says that it
   * is gone: by the time that the second is told there may be another with its id.
   *
   * @param remembered whether its last state is told to who asks later
   */
  private ProcessState end(Key key, Creation creation, boolean remembered) {
    if (creation.ending().compareAndSet(false, true)) {
      try {
        ProcessState last = release(creation.created().resultNow());
        if (remembered) {
          remember(key, last);
        }
        containers.remove(key, creation);
        creation.ended().complete(last);
      } catch (Throwable e) {
        containers.remove(key, creation);
        creation.ended().completeExceptionally(e);
        throw e;
      } finally {
        memory.changed();
      }
    }
    try {
      return creation.ended().join();
    } catch (CompletionException e) {
      throw RundException.notFound(
          "container %s is gone, not without an error: %s".formatted(key.id(), e.getCause()));
    }
  }

  private static ProcessState release(Container container) {
    try {
      container.leaveGuest();
    } finally {
      if (container.kind() != Container.Kind.MEMBER) {
        container.sandbox().endAllBut(container);
        container.sandbox().close();
      }
      container.leaveSandbox();
    }
    return container.close();
  }

  @Override
  public List<ProcessState> processes(String namespace, String id) {
    return container(namespace, id).processes().stream().map(ContainerProcess::state).toList();
  }

  @Override
  public void closeStdin(String namespace, String id, String execId) {
    container(namespace, id).process(execId).io().closeStdin();
  }

  @Override
  public void resizeTerminal(String namespace, String id, String execId, int rows, int columns) {
    container(namespace, id).resizeTerminal(execId, rows, columns);
  }

  @Override
  public void pause(String namespace, String id) {
    container(namespace, id).pause();
  }

  @Override
  public void resume(String namespace, String id) {
    container(namespace, id).resume();
  }

  @Override
  public void update(String namespace, String id, byte[] resourcesJson) {
    Container container = container(namespace, id);
    container.update(
        resourcesJson, container.sandbox().size().memoryBytes() - config.memoryOverhead());
  }

  @Override
  public ContainerStats stats(String namespace, String id) {
    return container(namespace, id).stats();
  }

  /** Whether there is no sandbox, and no template under way, which the next engine shall find. */
  public boolean isIdle() {
    return list().isEmpty() && !boot.isMakingTemplate();
  }

  @Override
  public List<SandboxInfo> list() {
    return containers.values().stream()
        .map(Creation::created)
        .filter(created -> created.state() == Future.State.SUCCESS)
        .map(created -> created.resultNow().info())
        .toList();
  }

  @Override
  public SandboxInfo info(String namespace, String id) {
    return container(namespace, id).info();
  }

  @Override
  public List<String> namespaces(String id) {
    return containers.keySet().stream()
        .filter(key -> key.id().equals(id))
        .map(Key::namespace)
        .toList();
  }

  /** What stands for the sandboxes. */
  private Stream<Container> firstContainers() {
    return containers.values().stream()
        .map(Creation::created)
        .filter(created -> created.state() == Future.State.SUCCESS)
        .map(CompletableFuture::resultNow)
        .filter(container -> container.kind() != Container.Kind.MEMBER);
  }

  private Stream<Sandbox> sandboxes() {
    return firstContainers().map(Container::sandbox);
  }

  @Override
  public List<SandboxFootprint> footprints() {
    return firstContainers()
        .map(
            container ->
                container
                    .sandbox()
                    .footprint(container.request().namespace(), container.request().id()))
        .toList();
  }

  @Override
  public List<Pool> pools() {
    List<Pool> pools = new ArrayList<>(hypervisor.pools());
    pools.add(cpus.pool());
    pools.add(boot.templates());
    return pools;
  }

  @Override
  public Timeline timeline(String namespace, String id) {
    return container(namespace, id).timeline();
  }

  @Override
  public void snapshot(String namespace, String id, Path target) {
    snapshots.save(container(namespace, id), target);
  }

  @Override
  public int restore(Path source, RestoredContainer made, CompletableFuture<Void> abandoned) {
    return make(
        new Key(made.namespace(), made.id()), _ -> snapshots.restore(source, made), abandoned);
  }

  @Override
  public int clone(
      String namespace, String id, RestoredContainer made, CompletableFuture<Void> abandoned) {
    Container container = container(namespace, id);
    return make(
        new Key(made.namespace(), made.id()), _ -> snapshots.clone(container, made), abandoned);
  }

  @Override
  public int run(
      String namespace,
      String id,
      List<String> arguments,
      CreateRequest.StdioPaths stdio,
      CompletableFuture<Void> abandoned)
      throws InterruptedException {
    return CommandRun.run(container(namespace, id), arguments, stdio, abandoned);
  }

  @Override
  public ProcessState remove(String namespace, String id) {
    if (!container(namespace, id).isRunds()) {
      throw RundException.precondition(
          "container %s is containerd's: delete it there".formatted(id));
    }
    return destroy(new Key(namespace, id), _ -> {});
  }

  Container container(String namespace, String id) {
    return creation(namespace, id).created().resultNow();
  }

  /** A creation that has succeeded. */
  private Creation creation(String namespace, String id) {
    Creation creation = containers.get(new Key(namespace, id));
    if (creation == null) {
      throw RundException.notFound("there is no container " + id);
    }
    if (creation.created().state() != Future.State.SUCCESS) {
      throw RundException.precondition("container " + id + " is still being created");
    }
    return creation;
  }

  /** Ends every sandbox, in parallel. */
  @Override
  public void close() {
    clocks.close();
    boot.close();
    List<Thread> endings =
        containers.keySet().stream()
            .map(key -> Thread.startVirtualThread(() -> destroyQuietly(key)))
            .toList();
    for (Thread ending : endings) {
      try {
        ending.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
    cpus.close();
  }

  private void destroyQuietly(Key key) {
    try {
      var _ = destroy(key, _ -> {});
    } catch (RundException e) {
      log.debug("container {} was gone already: {}", key.id(), e.getMessage());
    }
  }
}
