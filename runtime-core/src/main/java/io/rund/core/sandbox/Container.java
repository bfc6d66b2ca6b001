package io.rund.core.sandbox;

import io.rund.core.agent.ContainerStats;
import io.rund.core.agent.GuestAgent;
import io.rund.core.agent.GuestAgent.ExitStatus;
import io.rund.core.agent.GuestAgent.ProcessKey;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.stdio.ProcessIo;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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

  private final CreateRequest request;
  private final Sandbox sandbox;
  private final EventSink events;
  private final Timeline timeline;
  private final long createdAtNanos = WallClock.nanos();
  private final ContainerProcess init;
  private final Map<String, ContainerProcess> execs = new LinkedHashMap<>();
  private volatile boolean paused;

  /** Creates the container's init in a sandbox that answers. */
  Container(
      CreateRequest request,
      GuestSpec guestSpec,
      HostFiles files,
      Sandbox sandbox,
      EventSink events,
      Timeline timeline) {
    this.request = request;
    this.sandbox = sandbox;
    this.events = events;
    this.timeline = timeline;
    ProcessKey key = ProcessKey.init(request.id());
    ProcessIo io = openIo(request.stdio());
    try {
      long began = System.nanoTime();
      byte[] specJson = guestSpec.json(files.slots().stream().map(agent()::bindSlot).toList());
      agent()
          .createContainer(
              request.id(), specJson, files.guestRoot(), files.shareNames(), io.ports());
      if (guestSpec.readOnlyRoot()) {
        files.makeRootReadOnly();
      }
      timeline.phase("create container", began);
      init = new ContainerProcess(this, key, io);
    } catch (RuntimeException e) {
      io.close();
      throw e;
    }
    events.publish(new TaskEvent.Created(request.namespace(), request.id(), request, pid()));
    init.watch(agent());
  }

  private ProcessIo openIo(CreateRequest.StdioPaths stdio) {
    return ProcessIo.open(
        sandbox.vm(), request.namespace(), request.id(), stdio, sandbox::nextPort);
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
    return sandbox.pid();
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

  private GuestAgent agent() {
    return sandbox.agent();
  }

  void start(String execId) {
    long began = System.nanoTime();
    ContainerProcess process = process(execId);
    process.start(agent());
    if (process.isInit()) {
      timeline.phase("start process", began);
    } else {
      process.watch(agent());
    }
  }

  void exec(String execId, byte[] processJson, CreateRequest.StdioPaths stdio) {
    byte[] guestProcess = GuestSpec.process(processJson);
    ProcessIo io = openIo(stdio);
    ProcessKey key = new ProcessKey(request.id(), execId);
    ContainerProcess process = new ContainerProcess(this, key, io);
    try {
      synchronized (execs) {
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
      agent().delete(new ProcessKey(request.id(), execId));
    } catch (RundException e) {
      if (e.code() != ErrorCode.NOT_FOUND && e.code() != ErrorCode.UNAVAILABLE) {
        throw e;
      }
    }
    forget(execId);
    exec.io().drain(DRAIN_BOUND);
    exec.io().close();
    return exec.state();
  }

  private void forget(String execId) {
    synchronized (execs) {
      execs.remove(execId);
    }
  }

  void pause() {
    agent().pause(request.id());
    paused = true;
    events.publish(new TaskEvent.Paused(request.namespace(), request.id()));
  }

  void resume() {
    agent().resume(request.id());
    paused = false;
    events.publish(new TaskEvent.Resumed(request.namespace(), request.id()));
  }

  ContainerStats stats() {
    return agent().stats(request.id());
  }

  void resizeTerminal(String execId, int rows, int columns) {
    process(execId);
    agent().resizeTerminal(new ProcessKey(request.id(), execId), rows, columns);
  }

  /**
   * Takes the container out of its guest, so that its root file system is unmounted and whole. A
   * guest that does not do it is not waited for: its VM ends anyway.
   */
  void leaveGuest() {
    if (init.state().status() == ProcessState.Status.CREATED) {
      // Its streams never end by themselves.
      init.io().close();
    }
    init.io().drain(DRAIN_BOUND);
    try {
      agent().delete(ProcessKey.init(request.id()));
    } catch (RundException e) {
      if (e.code() != ErrorCode.UNAVAILABLE && e.code() != ErrorCode.NOT_FOUND) {
        Sandbox.log.warn(
            "container {}: the agent could not delete it: {}", request.id(), e.getMessage());
      }
    }
  }

  /** The sandbox is no more: whatever still ran in it has ended. */
  void lost() {
    ExitStatus killed = new ExitStatus(KILLED, WallClock.nanos());
    for (ContainerProcess process : processes().reversed()) {
      process.lost(killed);
    }
  }

  /** Closes all streams, and reports the deletion. Returns the init's last state. */
  ProcessState close() {
    for (ContainerProcess process : processes()) {
      process.io().close();
    }
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
