package io.rund.core.sandbox;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rund.core.agent.ContainerAgent;
import io.rund.core.agent.ContainerAgent.ExitStatus;
import io.rund.core.agent.ContainerAgent.ProcessKey;
import io.rund.core.agent.ContainerStats;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.linux.Linux;
import io.rund.core.stdio.ProcessIo;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A container in its sandbox: the init, the execs, and the events they cause. Safe for use by
 * several threads.
 */
final class Container {
  /**
   * What a shell reports for a process ended by SIGKILL; that of processes whose sandbox is no
   * more.
   */
  private static final int KILLED = 137;

  /** How long a deletion waits for a client that has not read all output. */
  private static final Duration DRAIN_BOUND = Duration.ofSeconds(5);

  /** So often, at most, is one container's want of memory reported. */
  private static final Duration OOM_PAUSE = Duration.ofSeconds(1);

  /** What a container is in its sandbox. */
  enum Kind {
    /** The one container of the sandbox. */
    ALONE,
    /** The pause container, which stands for the pod. */
    POD_SANDBOX,
    /** One of those in a pod. */
    MEMBER
  }

  /**
   * Where a container runs.
   *
   * @param guestId what the agent calls it: another id than the engine's if its guest goes on from
   *     a snapshot
   * @param agent runs its processes
   * @param anchor its pid on the host; a member owns it, for others it is the sandbox's
   * @param files what the VM has got for it
   * @param guestPid of its init, in the guest's root PID namespace; 0 without one
   * @param folder of a container that rund has made by itself, which goes with it
   */
  record Place(
      Kind kind,
      String guestId,
      ContainerAgent agent,
      Anchor anchor,
      GivenFiles files,
      int guestPid,
      Optional<SandboxFolders.Folder> folder) {}

  private final CreateRequest request;
  private final Sandbox sandbox;
  private final Place place;
  private final EventSink events;
  private final Timeline timeline;
  private final long createdAtNanos = WallClock.nanos();
  private final long createdNanoTime = System.nanoTime();
  private final ContainerProcess init;
  private final Map<String, ContainerProcess> execs = new LinkedHashMap<>();

  /** That there will be no more execs; guarded by {@link #execs}. */
  private boolean lost;

  /** Guarded by {@link #place}. */
  private CpuShare cpuShare;

  private volatile boolean paused;
  private volatile boolean gone;

  /** A container whose init has been created, with {@code cpuShare} for its limit. */
  Container(
      CreateRequest request,
      Sandbox sandbox,
      Place place,
      CpuShare cpuShare,
      ProcessIo io,
      EventSink events,
      Timeline timeline) {
    this.request = request;
    this.sandbox = sandbox;
    this.place = place;
    this.cpuShare = cpuShare;
    this.events = events;
    this.timeline = timeline;
    this.init = new ContainerProcess(this, key(""), io);
  }

  /** What the agent calls the process. */
  private ProcessKey key(String execId) {
    return new ProcessKey(place.guestId(), execId);
  }

  /** What the agent calls the container. */
  String guestId() {
    return place.guestId();
  }

  /** Whether it is none of containerd's. */
  boolean isRunds() {
    return place.folder().isPresent();
  }

  /** Its init runs already, as that of a snapshot does. Before {@link #watch}. */
  void goesOn() {
    init.goesOn();
  }

  /** Reports the creation, and all that happens from now on. To be called once. */
  void watch() {
    events.publish(new TaskEvent.Created(request.namespace(), request.id(), request, pid()));
    sandbox.add(this);
    // Asked first, so that it is answered first: whoever hears of the exit knows the reason.
    watchOom(0);
    init.watch(agent());
    if (place.kind() == Kind.MEMBER) {
      var _ = place.anchor().exited().thenRunAsync(this::anchorEnded, Thread::startVirtualThread);
    }
  }

  private void watchOom(long seen) {
    var _ =
        agent()
            .oomKills(place.guestId(), seen)
            .whenComplete(
                (kills, failure) -> {
                  // A failure means that the container or the agent is gone.
                  if (failure == null && !gone) {
                    events.publish(new TaskEvent.OutOfMemory(request.namespace(), request.id()));
                    CompletableFuture.delayedExecutor(OOM_PAUSE.toMillis(), TimeUnit.MILLISECONDS)
                        .execute(() -> watchOom(kills));
                  }
                });
  }

  private void anchorEnded() {
    if (gone) {
      return;
    }
    Sandbox.log.warn("container {}: its anchor, pid {}, was ended", request.id(), pid());
    try {
      init.signal(agent(), Linux.SIGKILL, true);
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND && e.code() != ErrorCode.UNAVAILABLE) {
        Sandbox.log.warn("container {} could not be killed: {}", request.id(), e.getMessage());
      }
    }
  }

  CreateRequest request() {
    return request;
  }

  Sandbox sandbox() {
    return sandbox;
  }

  Timeline timeline() {
    return timeline;
  }

  int pid() {
    return place.anchor().pid();
  }

  int guestPid() {
    return place.guestPid();
  }

  Kind kind() {
    return place.kind();
  }

  SandboxInfo info() {
    return new SandboxInfo(
        request.namespace(),
        request.id(),
        pid(),
        init.state().status(),
        sandbox.size().vcpus(),
        sandbox.size().memoryBytes(),
        createdAtNanos,
        sandbox.kernelRelease());
  }

  boolean paused() {
    return paused;
  }

  private ContainerAgent agent() {
    return place.agent();
  }

  void start(String execId) {
    ContainerProcess process = process(execId);
    if (process.isInit()) {
      timeline.phase("wait for start", createdNanoTime);
      sandbox.attachNetwork(timeline);
    }
    long began = System.nanoTime();
    if (process.isInit() && kind() != Kind.POD_SANDBOX) {
      sandbox.vm().beginsToWork();
    }
    process.start(agent());
    if (process.isInit()) {
      timeline.phase("start process", began);
    } else {
      process.watch(agent());
    }
  }

  void exec(String execId, byte[] processJson, CreateRequest.StdioPaths stdio) {
    byte[] guestProcess = GuestSpec.process(processJson);
    if (kind() == Kind.POD_SANDBOX) {
      throw RundException.precondition(
          "cannot run exec %s in %s: it is the sandbox of a pod, whose pause process is only remembered; use a container of the pod"
              .formatted(execId, request.id()));
    }
    ProcessIo io = sandbox.openIo(request, stdio);
    ProcessKey key = key(execId);
    ContainerProcess process = new ContainerProcess(this, key, io);
    try {
      synchronized (execs) {
        if (lost) {
          throw RundException.precondition(
              "cannot add exec %s to container %s: it has ended".formatted(execId, request.id()));
        }
        if (execs.putIfAbsent(execId, process) != null) {
          throw new RundException(
              ErrorCode.ALREADY_EXISTS,
              "container %s has an exec %s already".formatted(request.id(), execId));
        }
      }
      try {
        agent().createExec(key, guestProcess, io.ports());
      } catch (RuntimeException e) {
        forget(execId);
        throw e;
      }
    } catch (RuntimeException e) {
      io.close();
      throw e;
    }
    events.publish(new TaskEvent.ExecAdded(request.namespace(), request.id(), execId));
  }

  /** The process with this exec id; the init for an empty one. */
  ContainerProcess process(String execId) {
    if (execId.isEmpty()) {
      return init;
    }
    synchronized (execs) {
      ContainerProcess exec = execs.get(execId);
      if (exec == null) {
        throw RundException.notFound("container %s has no exec %s".formatted(request.id(), execId));
      }
      return exec;
    }
  }

  /** The init, then the execs in the order in which they were added. */
  List<ContainerProcess> processes() {
    List<ContainerProcess> all = new ArrayList<>();
    all.add(init);
    synchronized (execs) {
      all.addAll(execs.values());
    }
    return all;
  }

  void kill(String execId, int signal, boolean all) {
    process(execId).signal(agent(), signal, all);
  }

  ProcessState deleteExec(String execId) {
    ContainerProcess exec = process(execId);
    exec.assertDeletable();
    try {
      agent().delete(key(execId));
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND && e.code() != ErrorCode.UNAVAILABLE) {
        throw e;
      }
    }
    forget(execId);
    exec.io().drain(DRAIN_BOUND);
    ProcessState last = exec.state();
    // Whoever waits for one that could not be started has nothing more to wait for.
    exec.lost(killed());
    return last;
  }

  private void forget(String execId) {
    synchronized (execs) {
      execs.remove(execId);
    }
  }

  void pause() {
    agent().pause(place.guestId());
    paused = true;
    events.publish(new TaskEvent.Paused(request.namespace(), request.id()));
  }

  void resume() {
    agent().resume(place.guestId());
    paused = false;
    events.publish(new TaskEvent.Resumed(request.namespace(), request.id()));
  }

  /**
   * Changes limits: in the guest, and those of the VM's threads on the host.
   *
   * @param most the largest memory limit, in bytes, that the VM can give
   */
  void update(byte[] resourcesJson, long most) {
    ObjectNode resources = GuestResources.update(request.id(), resourcesJson, most);
    synchronized (place) {
      CpuShare before = cpuShare;
      CpuShare after = before.with(resources.path("cpu"));
      after.checkGrowth(before, sandbox.size().vcpus(), request.id());
      agent().update(place.guestId(), GuestResources.write(resources));
      cpuShare = after;
      if (kind() == Kind.MEMBER) {
        sandbox.cpuShareOfMember(before, cpuShare);
      } else if (!cpuShare.equals(before)) {
        sandbox.cpuShare(cpuShare);
      }
    }
  }

  ContainerStats stats() {
    return agent().stats(place.guestId());
  }

  void resizeTerminal(String execId, int rows, int columns) {
    process(execId);
    agent().resizeTerminal(key(execId), rows, columns);
  }

  /**
   * Takes the container out of its guest, so that its file systems are unmounted and whole. Of one
   * that was not started, or whose end was only declared, or in which an exec is just starting, the
   * guest has to end something first.
   */
  void leaveGuest() {
    if (init.state().status() == ProcessState.Status.CREATED) {
      // Its streams never end by themselves.
      init.io().close();
    }
    init.io().drain(DRAIN_BOUND);
    try {
      agent().delete(key(""));
    } catch (RundException e) {
      if (e.code() == ErrorCode.FAILED_PRECONDITION) {
        GuestEnd.of(place.guestId(), agent());
      } else if (e.code() != ErrorCode.UNAVAILABLE && e.code() != ErrorCode.NOT_FOUND) {
        Sandbox.log.warn(
            "container {}: the agent could not delete it: {}", request.id(), e.getMessage());
      }
    }
  }

  /** The sandbox is no more: whatever still ran in it has ended, and nothing else will. */
  void lost() {
    synchronized (execs) {
      lost = true;
    }
    ExitStatus killed = killed();
    for (ContainerProcess process : processes().reversed()) {
      process.lost(killed);
    }
  }

  /** The exit of a process that is killed now. */
  static ExitStatus killed() {
    return new ExitStatus(KILLED, WallClock.nanos());
  }

  /** Lets go of what the container has in a sandbox that goes on. */
  void leaveSandbox() {
    gone = true;
    if (place.kind() == Kind.MEMBER) {
      sandbox.remove(this);
      place.files().takeBack(sandbox);
      place.anchor().close();
    }
  }

  /** Closes all that is left, and reports the deletion. Returns the init's last state. */
  ProcessState close() {
    gone = true;
    for (ContainerProcess process : processes()) {
      process.io().close();
    }
    place.folder().ifPresent(SandboxFolders.Folder::close);
    ProcessState last = init.state();
    events.publish(
        new TaskEvent.Deleted(
            request.namespace(), request.id(), pid(), last.exitStatus(), last.exitedAtNanos()));
    return last;
  }

  void publishStarted(String execId) {
    events.publish(
        execId.isEmpty()
            ? new TaskEvent.Started(request.namespace(), request.id(), pid())
            : new TaskEvent.ExecStarted(request.namespace(), request.id(), execId, pid()));
  }

  void publishExited(String execId, ExitStatus exit) {
    events.publish(
        new TaskEvent.Exited(
            request.namespace(), request.id(), execId, pid(), exit.status(), exit.atNanos()));
  }
}
