package io.rund.shim.containerd;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import io.rund.core.sandbox.CreateRequest.RootfsMount;
import io.rund.core.sandbox.ProcessState;
import io.rund.shim.wire.task.DeleteResponse;
import io.rund.shim.wire.task.PidsResponse;
import io.rund.shim.wire.task.StateResponse;
import io.rund.shim.wire.types.Mount;
import io.rund.shim.wire.types.ProcessDetails;
import io.rund.shim.wire.types.ProcessInfo;
import io.rund.shim.wire.types.Status;
import java.util.List;

/** The model in containerd's messages. */
public final class TaskWire {
  private static final long NANOS = 1_000_000_000L;

  private TaskWire() {}

  /** {@code nanos} is wall clock since the epoch; 0 is Go's zero time, an empty message. */
  static Timestamp timestamp(long nanos) {
    return Timestamp.newBuilder()
        .setSeconds(Math.floorDiv(nanos, NANOS))
        .setNanos((int) Math.floorMod(nanos, NANOS))
        .build();
  }

  /** containerd's typeurl: the bare name of a message, without the usual host before it. */
  static Any any(Message message) {
    return Any.newBuilder()
        .setTypeUrl(message.getDescriptorForType().getFullName())
        .setValue(message.toByteString())
        .build();
  }

  static List<RootfsMount> rootfs(List<Mount> mounts) {
    return mounts.stream()
        .map(m -> new RootfsMount(m.getType(), m.getSource(), m.getTarget(), m.getOptionsList()))
        .toList();
  }

  static List<Mount> mounts(List<RootfsMount> rootfs) {
    return rootfs.stream()
        .map(
            m ->
                Mount.newBuilder()
                    .setType(m.type())
                    .setSource(m.source())
                    .setTarget(m.target())
                    .addAllOptions(m.options())
                    .build())
        .toList();
  }

  static StateResponse state(ProcessState state) {
    StateResponse.Builder response =
        StateResponse.newBuilder()
            .setId(state.containerId())
            .setExecId(state.execId())
            .setBundle(state.bundle())
            .setPid(state.pid())
            .setStatus(status(state.status()))
            .setTerminal(state.stdio().terminal())
            .setStdin(state.stdio().stdin())
            .setStdout(state.stdio().stdout())
            .setStderr(state.stdio().stderr())
            .setExitStatus(state.exitStatus());
    if (state.exitedAtNanos() != 0) {
      response.setExitedAt(timestamp(state.exitedAtNanos()));
    }
    return response.build();
  }

  private static Status status(ProcessState.Status status) {
    return switch (status) {
      case CREATED -> Status.CREATED;
      case RUNNING -> Status.RUNNING;
      case PAUSED -> Status.PAUSED;
      case STOPPED -> Status.STOPPED;
    };
  }

  /** The answer to `delete`, of the service and of the shim binary. */
  public static DeleteResponse deleted(ProcessState state) {
    return deleted(state.exitStatus(), state.exitedAtNanos()).toBuilder()
        .setPid(state.pid())
        .build();
  }

  /** The same for a container of which nothing else is known. */
  public static DeleteResponse deleted(int exitStatus, long exitedAtNanos) {
    return DeleteResponse.newBuilder()
        .setExitStatus(exitStatus)
        .setExitedAt(timestamp(exitedAtNanos))
        .build();
  }

  /**
   * Those that have not ended, and the init in any case; all have the pid of the anchor. A
   * containerd that was restarted drops a task without processes as one that was never made
   * (loadShims in core/runtime/v2/shim_load.go), and with it the exit status of an init that has
   * ended meanwhile.
   */
  static PidsResponse pids(List<ProcessState> processes) {
    PidsResponse.Builder response = PidsResponse.newBuilder();
    for (ProcessState process : processes) {
      if (process.execId().isEmpty() || process.status() != ProcessState.Status.STOPPED) {
        ProcessInfo.Builder info = ProcessInfo.newBuilder().setPid(process.pid());
        if (!process.execId().isEmpty()) {
          info.setInfo(any(ProcessDetails.newBuilder().setExecId(process.execId()).build()));
        }
        response.addProcesses(info);
      }
    }
    return response.build();
  }
}
