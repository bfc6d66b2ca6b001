package io.rund.shim.containerd;

import com.google.protobuf.Message;
import io.rund.core.sandbox.TaskEvent;
import io.rund.shim.wire.events.Envelope;
import io.rund.shim.wire.events.TaskCreate;
import io.rund.shim.wire.events.TaskDelete;
import io.rund.shim.wire.events.TaskExecAdded;
import io.rund.shim.wire.events.TaskExecStarted;
import io.rund.shim.wire.events.TaskExit;
import io.rund.shim.wire.events.TaskIO;
import io.rund.shim.wire.events.TaskOOM;
import io.rund.shim.wire.events.TaskPaused;
import io.rund.shim.wire.events.TaskResumed;
import io.rund.shim.wire.events.TaskStart;

/** Events in containerd's messages, with their topics (containerd runtime/events.go). */
final class EventWire {
  private EventWire() {}

  /** {@code atNanos} is wall clock since the epoch. */
  static Envelope envelope(TaskEvent event, long atNanos) {
    return Envelope.newBuilder()
        .setTimestamp(TaskWire.timestamp(atNanos))
        .setNamespace(event.namespace())
        .setTopic(topic(event))
        .setEvent(TaskWire.any(message(event)))
        .build();
  }

  private static String topic(TaskEvent event) {
    return switch (event) {
      case TaskEvent.Created _ -> "/tasks/create";
      case TaskEvent.Started _ -> "/tasks/start";
      case TaskEvent.ExecAdded _ -> "/tasks/exec-added";
      case TaskEvent.ExecStarted _ -> "/tasks/exec-started";
      case TaskEvent.Exited _ -> "/tasks/exit";
      case TaskEvent.Deleted _ -> "/tasks/delete";
      case TaskEvent.OutOfMemory _ -> "/tasks/oom";
      case TaskEvent.Paused _ -> "/tasks/paused";
      case TaskEvent.Resumed _ -> "/tasks/resumed";
    };
  }

  private static Message message(TaskEvent event) {
    return switch (event) {
      case TaskEvent.Created e ->
          TaskCreate.newBuilder()
              .setContainerId(e.containerId())
              .setBundle(e.request().bundle().toString())
              .addAllRootfs(TaskWire.mounts(e.request().rootfs()))
              .setIo(
                  TaskIO.newBuilder()
                      .setTerminal(e.request().stdio().terminal())
                      .setStdin(e.request().stdio().stdin())
                      .setStdout(e.request().stdio().stdout())
                      .setStderr(e.request().stdio().stderr()))
              .setPid(e.pid())
              .build();
      case TaskEvent.Started e ->
          TaskStart.newBuilder().setContainerId(e.containerId()).setPid(e.pid()).build();
      case TaskEvent.ExecAdded e ->
          TaskExecAdded.newBuilder().setContainerId(e.containerId()).setExecId(e.execId()).build();
      case TaskEvent.ExecStarted e ->
          TaskExecStarted.newBuilder()
              .setContainerId(e.containerId())
              .setExecId(e.execId())
              .setPid(e.pid())
              .build();
      case TaskEvent.Exited e ->
          TaskExit.newBuilder()
              .setContainerId(e.containerId())
              .setId(e.execId().isEmpty() ? e.containerId() : e.execId())
              .setPid(e.pid())
              .setExitStatus(e.exitStatus())
              .setExitedAt(TaskWire.timestamp(e.exitedAtNanos()))
              .build();
      case TaskEvent.Deleted e ->
          TaskDelete.newBuilder()
              .setContainerId(e.containerId())
              .setPid(e.pid())
              .setExitStatus(e.exitStatus())
              .setExitedAt(TaskWire.timestamp(e.exitedAtNanos()))
              .build();
      case TaskEvent.OutOfMemory e -> TaskOOM.newBuilder().setContainerId(e.containerId()).build();
      case TaskEvent.Paused e -> TaskPaused.newBuilder().setContainerId(e.containerId()).build();
      case TaskEvent.Resumed e -> TaskResumed.newBuilder().setContainerId(e.containerId()).build();
    };
  }
}
