package io.rund.kvm.fs;

import io.rund.core.error.RundException;
import io.rund.kvm.fs.FsState.Kind;
import io.rund.kvm.fs.FsState.KnownFile;
import io.rund.kvm.fs.FsState.OpenHandle;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Writes down what the guest knows, while it asks for nothing. Used once, by one thread. */
final class StateSaver {
  /**
   * Of all paths together, in bytes: what the guest knows must not be too much for this process.
   */
  static final long MOST_PATHS = 16 << 20;

  private final long mostPaths;
  private long pathBytes;
  private final List<SharePaths> shares = new ArrayList<>();
  private final Map<MountedShare, Integer> places = new HashMap<>();
  private final Set<Node> nodes = new HashSet<>();
  private final List<KnownFile> files = new ArrayList<>();
  private final List<OpenHandle> handles = new ArrayList<>();

  /**
   * @param mostPaths that may be written down, in bytes
   */
  StateSaver(long mostPaths) {
    this.mostPaths = mostPaths;
  }

  /**
   * @throws RundException FAILED_PRECONDITION if the guest knows too much
   */
  FsState save(ShareTable shareTable, NodeTable nodeTable, HandleTable handleTable) {
    for (MountedShare share : shareTable.all()) {
      places.put(share, shares.size());
      shares.add(new SharePaths(share));
    }
    nodeTable.each(this::add);
    handleTable.each(this::add);
    return new FsState(
        shares.stream().map(paths -> paths.share.name).toList(),
        nodeTable.ids(),
        files,
        handleTable.ids(),
        handles);
  }

  private void add(Node node) {
    int share = places.get(node.share);
    Optional<SharePath> path = node.isLost() ? Optional.empty() : shares.get(share).of(node);
    pathBytes += path.map(known -> known.bytes().length()).orElse(0);
    if (pathBytes > mostPaths) {
      throw RundException.precondition(
          "the guest has files in its cache whose paths take more than %d MiB: they can be forgotten there (echo 2 >/proc/sys/vm/drop_caches)"
              .formatted(mostPaths >> 20));
    }
    nodes.add(node);
    files.add(new KnownFile(node.id, node.lookups, share, node.type, path));
  }

  private void add(Handle handle) {
    handles.add(
        switch (handle) {
          case LostHandle lost -> OpenHandle.of(lost.id, Kind.LOST);
          case OpenFolder folder when folder.node == null -> OpenHandle.of(folder.id, Kind.SHARES);
          // A guest that forgets what it has open.
          case Handle open when !nodes.contains(open.node) -> OpenHandle.of(open.id, Kind.LOST);
          case OpenFolder folder -> new OpenHandle(folder.id, Kind.FOLDER, folder.node.id, 0);
          case OpenFile file -> new OpenHandle(file.id, Kind.FILE, file.node.id, file.flags);
        });
  }
}
