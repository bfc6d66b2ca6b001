package io.rund.core.sandbox;

import io.rund.core.agent.ContainerAgent.ProcessKey;
import io.rund.core.agent.GuestAgent;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.sandbox.Container.Kind;
import io.rund.core.sandbox.Container.Place;
import io.rund.core.stdio.ProcessIo;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes containers: with a VM of their own, as the sandbox of a pod, or into a pod's VM. What fails
 * leaves nothing behind, on the host or in a VM that goes on.
 */
final class ContainerMaker {
  private static final Logger log = LoggerFactory.getLogger(ContainerMaker.class);

  private final SandboxBoot boot;
  private final EventSink events;
  private final Admission admission = Admission.byCpus();

  ContainerMaker(SandboxBoot boot, EventSink events) {
    this.boot = boot;
    this.events = events;
  }

  /**
   * @param pods finds the sandbox of a pod by its id, or throws
   * @param givenUp completes when nobody wants the container any more; what waits for its turn then
   *     fails, what has begun goes on
   */
  Container make(
      CreateRequest request, Function<String, Sandbox> pods, CompletableFuture<Void> givenUp) {
    long came = System.nanoTime();
    Timeline timeline = new Timeline(came);
    OciSpec spec = OciSpec.read(request.bundle());
    timeline.phase("read specification", came);
    return switch (PodRole.of(spec)) {
      case PodRole.PodSandbox() -> makePodSandbox(request, spec, timeline, givenUp);
      case PodRole.Alone() -> makeAlone(request, spec, timeline, givenUp);
      case PodRole.Member(String sandboxId) ->
          makeMember(request, spec, pods.apply(sandboxId), timeline);
    };
  }

  /** The VM of a pod. The pause container's root file system is not touched: nothing runs there. */
  private Container makePodSandbox(
      CreateRequest request, OciSpec spec, Timeline timeline, CompletableFuture<Void> givenUp) {
    Map<String, String> sysctls = GuestSpec.ofPodSandbox(spec);
    SandboxSize size = SandboxSize.ofPod(spec, boot.config());
    Sandbox sandbox = boot(request, spec, size, vm -> {}, timeline, givenUp);
    try {
      sandbox.setSysctls(sysctls);
      ProcessIo io = sandbox.openIo(request, request.stdio());
      try {
        PauseProcess pause = new PauseProcess(sandbox::hostStats);
        // Nothing writes to its streams: they end with it.
        var _ = pause.exit(ProcessKey.init(request.id())).thenRun(io::close);
        GivenFiles none = new GivenFiles(List.of(), List.of());
        Place place =
            new Place(
                Kind.POD_SANDBOX, request.id(), pause, sandbox.anchor(), none, 0, Optional.empty());
        return begin(
            new Container(request, sandbox, place, CpuShare.of(spec), io, events, timeline));
      } catch (Throwable e) {
        io.close();
        throw e;
      }
    } catch (Throwable e) {
      sandbox.close();
      throw e;
    }
  }

  private Container makeAlone(
      CreateRequest request, OciSpec spec, Timeline timeline, CompletableFuture<Void> givenUp) {
    SandboxSize size = SandboxSize.of(spec, boot.config());
    try (HostFiles files = new HostFiles(request.id(), Optional.empty())) {
      GuestSpec guestSpec = open(request, spec, files, Optional.empty(), timeline);
      Sandbox sandbox = boot(request, spec, size, files::giveTo, timeline, givenUp);
      try {
        return create(
            request, spec, guestSpec, files, sandbox, Kind.ALONE, sandbox.anchor(), timeline);
      } catch (Throwable e) {
        sandbox.close();
        throw e;
      }
    }
  }

  /**
   * Goes on with a sandbox of one container, whose program runs. It is nobody's but rund's: no
   * event tells of it.
   *
   * @param machine the guest
   * @param folder the bundle, which is the container's if this succeeds
   * @throws RundException that says what of the host it had and is not there any more
   */
  Container restore(
      CreateRequest request,
      SnapshotDescription description,
      VmTemplate machine,
      SandboxFolders.Folder folder) {
    long came = System.nanoTime();
    Timeline timeline = new Timeline(came);
    OciSpec spec = OciSpec.read(request.bundle());
    String guestId = description.guestId();
    SandboxSize size = description.size();
    try (HostFiles files = new HostFiles(guestId, Optional.empty())) {
      GuestSpec guestSpec = open(request, spec, files, Optional.empty(), timeline);
      // At once: it does not boot, and it opens files, which may take any time.
      Sandbox sandbox = boot.restore(request, spec, size, machine, files::giveTo, timeline);
      try {
        ProcessIo io = sandbox.openIo(request, request.stdio());
        try {
          description.cards().forEach(sandbox.agent()::unbindSlot);
          sandbox.setSysctls(guestSpec.sysctls());
          sandbox.attachNetwork(timeline);
          if (guestSpec.readOnlyRoot()) {
            files.makeRootReadOnly();
          }
          sandbox.agent().adopt(guestId, io.ports());
          sandbox.vm().beginsToWork();
          Place place =
              new Place(
                  Kind.ALONE,
                  guestId,
                  sandbox.agent(),
                  sandbox.anchor(),
                  files.given(),
                  0,
                  Optional.of(folder));
          Container container =
              new Container(request, sandbox, place, CpuShare.of(spec), io, _ -> {}, timeline);
          container.goesOn();
          return begin(container);
        } catch (Throwable e) {
          io.close();
          throw e;
        }
      } catch (Throwable e) {
        sandbox.close();
        throw e;
      }
    }
  }

  /** Makes a VM when it is this request's turn. */
  private Sandbox boot(
      CreateRequest request,
      OciSpec spec,
      SandboxSize size,
      Consumer<VirtualMachine> prepare,
      Timeline timeline,
      CompletableFuture<Void> givenUp) {
    long came = System.nanoTime();
    try (Admission.Place _ = admission.enter(request.id(), givenUp)) {
      timeline.phase("admission", came);
      return boot.boot(request, spec, size, prepare, timeline);
    }
  }

  private Container makeMember(
      CreateRequest request, OciSpec spec, Sandbox sandbox, Timeline timeline) {
    SandboxSize.checkAnnotations(spec, boot.config());
    SandboxSize.checkMemoryLimit(spec.memoryLimit(), boot.config());
    sandbox.size().checkMember(spec.memoryLimit(), request.id());
    try (HostFiles files = new HostFiles(request.id(), Optional.of(sandbox.shares()))) {
      GuestSpec guestSpec = open(request, spec, files, Optional.of(sandbox), timeline);
      Path network = Path.of("/proc/" + sandbox.pid() + "/ns/net");
      AnchorStart anchorStart =
          boot.anchor(request.id(), spec, new NetworkNamespace.Existing(network), timeline);
      try {
        files.giveTo(sandbox.vm());
        Anchor anchor = anchorStart.get();
        Container container =
            create(request, spec, guestSpec, files, sandbox, Kind.MEMBER, anchor, timeline);
        noteLimits(request, spec, sandbox);
        return container;
      } catch (Throwable e) {
        GuestEnd.of(request.id(), sandbox.agent());
        files.given().takeBack(sandbox);
        anchorStart.discard();
        throw e;
      }
    }
  }

  /** Its pod's VM was made by the sums of limits; who has none is in no sum. */
  private void noteLimits(CreateRequest request, OciSpec spec, Sandbox sandbox) {
    sandbox.cpuShareOfNewMember(CpuShare.FREE.with(spec.cpu()));
    if (spec.memoryLimit().isEmpty()
        && sandbox.size().memoryBytes() < boot.config().defaultMemory()) {
      log.warn(
          "container {} has no memory limit, and its pod's VM has {} MiB, made for the limits of the other containers; give it one, or all of them none",
          request.id(),
          sandbox.size().memoryBytes() >> 20);
    }
  }

  /** Opens everything of the host that the container will see. */
  private static GuestSpec open(
      CreateRequest request,
      OciSpec spec,
      HostFiles files,
      Optional<GuestNamespaces.Pod> pod,
      Timeline timeline) {
    long began = System.nanoTime();
    GuestSpec guestSpec = GuestSpec.of(spec, request.id(), files, pod);
    timeline.phase("check specification", began);
    long opening = System.nanoTime();
    files.root(RootFs.open(request, spec));
    timeline.phase("open root file system", opening);
    return guestSpec;
  }

  private Container create(
      CreateRequest request,
      OciSpec spec,
      GuestSpec guestSpec,
      HostFiles files,
      Sandbox sandbox,
      Kind kind,
      Anchor anchor,
      Timeline timeline) {
    GuestAgent agent = sandbox.agent();
    long began = System.nanoTime();
    ProcessIo io = sandbox.openIo(request, request.stdio());
    try {
      sandbox.setSysctls(guestSpec.sysctls());
      byte[] specJson = guestSpec.json(files.slots().stream().map(agent::bindSlot).toList());
      int guestPid =
          agent.createContainer(
              new GuestAgent.ContainerConfig(
                  request.id(),
                  files.guestRoot(),
                  files.shareNames(),
                  files.sharedMemories(),
                  io.ports()),
              specJson);
      if (guestSpec.readOnlyRoot()) {
        files.makeRootReadOnly();
      }
      timeline.phase("create container", began);
      Place place =
          new Place(kind, request.id(), agent, anchor, files.given(), guestPid, Optional.empty());
      return begin(new Container(request, sandbox, place, CpuShare.of(spec), io, events, timeline));
    } catch (RundException e) {
      io.close();
      throw new RundException(
          e.code(),
          "cannot run %s from the root file system on %s: %s"
              .formatted(spec.program(), RootFs.describe(request, spec), e.getMessage()),
          e);
    } catch (Throwable e) {
      io.close();
      throw e;
    }
  }

  private static Container begin(Container container) {
    container.watch();
    if (container.kind() != Kind.MEMBER) {
      container.sandbox().watch();
    }
    return container;
  }
}
