package io.rund.e2e;

import java.util.List;
import java.util.regex.Pattern;

/**
 * What an operation may answer over virtio-fs other than on the host's file system itself, and why:
 * the whole list. A difference that is not here fails {@link PosixTableTest}.
 *
 * @param row the row of posix-table, with the place in front
 * @param host what the file system of the host answers
 * @param guest what the guest is told
 */
record FileSystemDifference(Pattern row, Pattern host, Pattern guest, String because) {
  private static final List<FileSystemDifference> ALL =
      List.of(
          new FileSystemDifference(
              "bound-(feature/collapse|space/collapse|space/insert)",
              "yes|ok",
              "no|unable: no collapse",
              "Linux asks a FUSE server for neither FALLOC_FL_COLLAPSE_RANGE nor _INSERT_RANGE"
                  + " (fs/fuse/file.c, fuse_file_fallocate)"),
          new FileSystemDifference(
              "bound-(feature|rename)/whiteout",
              "yes|ok",
              "no|unable: no whiteout",
              "RENAME_WHITEOUT is for an overlay's upper layer, which is on the host here; it is"
                  + " refused, as an overlay itself refuses it"),
          new FileSystemDifference(
              ".*-(feature|data)/attribute-flags",
              "yes|ok",
              "no|unable: no attribute-flags",
              "what chattr(1) sets is asked for by ioctl(2), of which none reaches the host"),
          new FileSystemDifference(
              ".*-(space/(data|hole)-mappable|map/data-not-synced)",
              "ok",
              "expected \\d+ got (0|4194304)",
              "the guest's kernel does not write out what a mapping has changed before it asks for"
                  + " holes (fs/fuse/file.c, fuse_lseek): a file that may be mapped for writing has"
                  + " none, as lseek(2) allows"));

  private FileSystemDifference(String row, String host, String guest, String because) {
    this(Pattern.compile(row), Pattern.compile(host), Pattern.compile(guest), because);
  }

  static boolean covers(String row, String host, String guest) {
    return ALL.stream()
        .anyMatch(
            allowed ->
                allowed.row.matcher(row).matches()
                    && allowed.host.matcher(host).matches()
                    && allowed.guest.matcher(guest).matches());
  }
}
