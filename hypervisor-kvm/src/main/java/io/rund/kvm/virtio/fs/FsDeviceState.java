package io.rund.kvm.virtio.fs;

import io.rund.kvm.fs.FsState;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;

/**
 * A guest's use of its file system, between two requests: all that {@link FsDevice} knows beyond
 * its queues.
 *
 * @param mounted whether INIT was answered, and no DESTROY
 * @param longSetxattr whether SETXATTR has its longer form
 */
public record FsDeviceState(boolean mounted, boolean longSetxattr, FsState files) {
  public static void write(FsDeviceState state, SnapshotWriter out) {
    out.int32(state.mounted ? 1 : 0);
    out.int32(state.longSetxattr ? 1 : 0);
    FsState.write(state.files, out);
  }

  public static FsDeviceState read(SnapshotReader in) {
    return new FsDeviceState(
        in.int32("whether shares are mounted", 0, 1) == 1,
        in.int32("the form of SETXATTR", 0, 1) == 1,
        FsState.read(in));
  }
}
