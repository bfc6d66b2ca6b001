package io.rund.kvm.fs;

import io.rund.core.linux.Linux;
import io.rund.kvm.snapshot.SnapshotReader;
import io.rund.kvm.snapshot.SnapshotWriter;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a guest knows of a {@link SharedFileSystem}: its nodes and handles, for another file system
 * with shares of the same names. Ids, shares and paths have been checked in whatever state there
 * is.
 *
 * @param shares names
 * @param files in the order of {@link SlotTable#each}, as {@code handles}
 */
public record FsState(
    List<String> shares,
    SlotTable.Ids fileIds,
    List<KnownFile> files,
    SlotTable.Ids handleIds,
    List<OpenHandle> handles) {
  /** More than descriptors that any process can have. */
  private static final int MOST = 1 << 30;

  private static final Set<Integer> TYPES =
      Set.of(
          Linux.S_IFREG,
          Linux.S_IFDIR,
          Linux.S_IFLNK,
          Linux.S_IFIFO,
          Linux.S_IFSOCK,
          Linux.S_IFCHR,
          Linux.S_IFBLK);

  /**
   * A node.
   *
   * @param lookups how often the guest has been given it and has not forgotten it
   * @param share its place in the list of shares
   * @param type the type bits of its mode
   * @param path where it was when the state was saved; empty if it had no name
   */
  record KnownFile(long id, long lookups, int share, int type, Optional<SharePath> path) {
    private static final int LEAST_BYTES = 2 * Long.BYTES + 3 * Integer.BYTES;

    KnownFile {
      boolean canBe =
          path.isEmpty() || !path.get().isRoot() || type == Linux.S_IFDIR || type == Linux.S_IFREG;
      if (lookups < 1 || !TYPES.contains(type) || !canBe) {
        throw SnapshotReader.damaged(
            "a file has type %o and was found %d times".formatted(type, lookups));
      }
    }

    private static void write(KnownFile file, SnapshotWriter out) {
      out.int64(file.id);
      out.int64(file.lookups);
      out.int32(file.share);
      out.int32(file.type);
      out.optional(file.path, SharePath::write);
    }

    private static KnownFile read(SnapshotReader in) {
      return new KnownFile(
          in.int64("the id of a file"),
          in.int64("the lookups of a file"),
          in.int32("the share of a file"),
          in.int32("the type of a file"),
          in.optional("a path", SharePath::read));
    }
  }

  /** What a handle is of. */
  enum Kind {
    /** Nothing that can be opened again. */
    LOST,
    /** The folder of shares. */
    SHARES,
    FOLDER,
    FILE
  }

  /**
   * A handle.
   *
   * @param file id of what is open; 0 if that is not one of the files
   * @param flags {@link OpenFiles#KEPT_FLAGS} for a file, else 0
   */
  record OpenHandle(long id, Kind kind, long file, int flags) {
    private static final int LEAST_BYTES = 2 * Long.BYTES + 2 * Integer.BYTES;

    /** Each at its number. */
    private static final List<Kind> KINDS = List.of(Kind.LOST, Kind.SHARES, Kind.FOLDER, Kind.FILE);

    OpenHandle {
      int kept = kind == Kind.FILE ? OpenFiles.KEPT_FLAGS : 0;
      if ((flags & ~kept) != 0 || (flags & Linux.O_ACCMODE) == Linux.O_ACCMODE) {
        throw SnapshotReader.damaged("something is open with flags 0x%x".formatted(flags));
      }
    }

    static OpenHandle of(long id, Kind kind) {
      return new OpenHandle(id, kind, 0, 0);
    }

    private static void write(OpenHandle handle, SnapshotWriter out) {
      out.int64(handle.id);
      out.int32(KINDS.indexOf(handle.kind));
      out.int64(handle.file);
      out.int32(handle.flags);
    }

    private static OpenHandle read(SnapshotReader in) {
      return new OpenHandle(
          in.int64("a handle"),
          KINDS.get(in.int32("the kind of a handle", 0, KINDS.size() - 1)),
          in.int64("the file of a handle"),
          in.int32("the flags of a handle"));
    }
  }

  /**
   * @throws io.rund.core.error.RundException FAILED_PRECONDITION if they do not fit together
   */
  public FsState {
    shares = List.copyOf(shares);
    files = List.copyOf(files);
    handles = List.copyOf(handles);
    fileIds.check(files.stream().mapToLong(KnownFile::id));
    handleIds.check(handles.stream().mapToLong(OpenHandle::id));
    if (new HashSet<>(shares).size() < shares.size()) {
      throw SnapshotReader.damaged("two shares have one name");
    }
    Map<Long, Integer> types = new HashMap<>();
    for (KnownFile file : files) {
      if (file.share < 0 || file.share >= shares.size()) {
        throw SnapshotReader.damaged("a file is in share " + file.share);
      }
      types.put(file.id, file.type);
    }
    for (OpenHandle handle : handles) {
      Integer type =
          switch (handle.kind) {
            case LOST, SHARES -> null;
            case FOLDER -> Linux.S_IFDIR;
            case FILE -> Linux.S_IFREG;
          };
      if (type == null ? handle.file != 0 : !type.equals(types.get(handle.file))) {
        throw SnapshotReader.damaged("what is open is not what is there");
      }
    }
  }

  public static void write(FsState state, SnapshotWriter out) {
    out.list(state.shares, (name, to) -> to.text(name));
    SlotTable.Ids.write(state.fileIds, out);
    out.list(state.files, KnownFile::write);
    SlotTable.Ids.write(state.handleIds, out);
    out.list(state.handles, OpenHandle::write);
  }

  public static FsState read(SnapshotReader in) {
    return new FsState(
        in.list(
            "shares",
            MOST,
            Integer.BYTES,
            from -> from.text("the name of a share", ShareTable.LONGEST_NAME)),
        SlotTable.Ids.read(in),
        in.list("files", MOST, KnownFile.LEAST_BYTES, KnownFile::read),
        SlotTable.Ids.read(in),
        in.list("handles", MOST, OpenHandle.LEAST_BYTES, OpenHandle::read));
  }
}
